// Evaluates what a test sends, with the functions of one scope in one style, and says what came of it:
// {value}, {error} with its code, and whether the call answered a promise.
const AsyncFunction = (async () => {}).constructor;

function shown(value) {
  const text = JSON.stringify({ value }, (key, item) => {
    // Moments are there, and no test can know them.
    if (/^(_createdAt|_updatedAt|updatedAt|expiresAt)$/.test(key)) return typeof item;
    return item === undefined ? "$undefined" : item;
  });
  return JSON.parse(text).value;
}

async function evaluate({ api, scope, source }) {
  const top = api === "sync" ? fazt.sync.app : fazt.app;
  const { kv, ds, s3, blobs } = scope === "user" ? top.user : top;
  const view = (tx) => (scope === "user" ? tx.user : tx);
  const names = { kv, ds, s3, blobs, tx: top.tx, view, top };
  const Kind = source.includes("await") ? AsyncFunction : Function;
  let promise;
  try {
    const answer = new Kind(...Object.keys(names), `return (${source})`)(...Object.values(names));
    promise = Kind === Function && typeof answer?.then === "function";
    return { value: shown(await answer), promise };
  } catch (error) {
    return { error: error.code ?? error.name, kind: error.kind ?? null, message: error.message, promise };
  }
}
