// Writes what it is told, and answers when that is durable.
const { kv, ds, s3 } = fazt.app;

await ds.index("docs", "group");
await ds.index("steps", "group");

const writes = {
  value: (name, value) => kv.set(name, value),
  gone: (name) => kv.delete(name),
  document: (name, value) => ds.upsert("docs", { id: name }, { $set: { value, group: value % 7 } }),
  object: (name, value) => s3.put(name, value, "text/plain"),
  count: (name) => kv.incr(name),
  // A number and a document with it: both, or neither.
  step: (name) =>
    fazt.app.tx(async (tx) => {
      const step = ((await tx.kv.get(name)) ?? 0) + 1;
      tx.kv.set(name, step);
      tx.ds.insert("steps", { id: `${name}-${step}`, step, group: step % 3 });
      return step;
    }),
};

export default {
  async fetch(request) {
    const { kind, name, value } = await request.json();
    try {
      return Response.json({ result: (await writes[kind](name, value)) ?? null });
    } catch (error) {
      return Response.json({ error: { code: error.code, message: error.message } }, { status: 500 });
    }
  },
};
