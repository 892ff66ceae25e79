// Notes under names. See README.md; `routes` and the rest are in http.js.

import { Refusal, json, readJson, routes, text } from "./http.js";

const { kv } = fazt.app;

const PAGE = 50;
const NAME_MAX = 80;
const TEXT_MAX = 10_000;

/** Where a note is kept. Other data of the app can have prefixes of their own. */
const place = (name) => `note:${text(name, "the name", NAME_MAX)}`;

const headers = (note) => ({ etag: `"${note.revision}"`, "cache-control": "no-cache" });

/** Who may write: everybody, until WRITE_KEY is set. */
function mayWrite(request, env) {
  if (env.WRITE_KEY && request.headers.get("x-write-key") !== env.WRITE_KEY) {
    throw new Refusal(401, "KEY_EXPECTED", "send the key of this app in x-write-key");
  }
}

function exists(note, name) {
  if (note === undefined) throw new Refusal(404, "NO_SUCH_NOTE", `there is no note ${name}`);
  return note;
}

/** Refuses a change of another revision than the one that is there; `*` is any. */
function isCurrent(request, note) {
  const wanted = request.headers.get("if-match");
  const has = note === undefined ? null : `"${note.revision}"`;
  if (wanted !== null && (has === null || (wanted !== "*" && wanted !== has))) throw changed();
}

const changed = () =>
  new Refusal(412, "CHANGED_MEANWHILE", "somebody else changed this note: read it again");

async function list({ url }) {
  const cursor = url.searchParams.get("cursor") ?? undefined;
  const prefix = `note:${url.searchParams.get("prefix") ?? ""}`;
  const page = await kv.list(prefix, { limit: PAGE, cursor });
  const notes = page.map(({ key, value }) => ({ name: key.slice("note:".length), ...value }));
  return json({ notes, cursor: page.cursor ?? null });
}

async function read({ params }) {
  const note = exists(await kv.get(place(params.name)), params.name);
  return json({ name: params.name, ...note }, 200, headers(note));
}

async function write({ request, env, params }) {
  mayWrite(request, env);
  const body = await readJson(request);
  const words = text(body.text, "text", TEXT_MAX);
  const key = place(params.name);
  const before = await kv.get(key);
  isCurrent(request, before);
  const note = {
    text: words,
    revision: (before?.revision ?? 0) + 1,
    changed: new Date().toISOString(),
  };
  // Compare and set: nothing is written over a note that somebody changed in between.
  if (!(await kv.setIf(key, note, before))) throw changed();
  const status = before === undefined ? 201 : 200;
  return json({ name: params.name, ...note }, status, headers(note));
}

async function remove({ request, env, params }) {
  mayWrite(request, env);
  const key = place(params.name);
  // All or nothing: if somebody changes the note meanwhile, this runs again.
  await fazt.app.tx(async (tx) => {
    const note = exists(await tx.kv.get(key), params.name);
    isCurrent(request, note);
    tx.kv.delete(key);
  });
  return new Response(null, { status: 204 });
}

export default routes({
  "GET /api": () => json({ app: fazt.app.name, notes: "/api/notes" }),
  "GET /api/notes": list,
  "GET /api/notes/:name": read,
  "PUT /api/notes/:name": write,
  "DELETE /api/notes/:name": remove,
});
