// The todos of everybody who visits. See README.md; `routes` and the rest are in http.js.

import { Refusal, json, readJson, routes, text } from "./http.js";

const { ds } = fazt.app;

const TODOS = "todos";
const PAGE = 100;
const TITLE_MAX = 200;

// Once per cell: the list is asked for by `done`, and an index answers that without looking at all of them.
await ds.index(TODOS, "done");

const shown = ({ id, title, done, _createdAt }) => ({ id, title, done, created: _createdAt });

/** What `?done=` asks for: true, false, or everything. */
function asked(url) {
  const done = url.searchParams.get("done");
  if (done === null) return {};
  if (done !== "true" && done !== "false") {
    throw new Refusal(400, "BAD_FIELD", "done is true or false");
  }
  return { done: done === "true" };
}

async function list({ url }) {
  const cursor = url.searchParams.get("cursor") ?? undefined;
  const todos = await ds.find(TODOS, asked(url), { limit: PAGE, cursor });
  return json({ todos: todos.map(shown), cursor: todos.cursor ?? null });
}

async function one(id) {
  const todo = await ds.get(TODOS, id);
  if (todo === null) throw new Refusal(404, "NO_SUCH_TODO", `there is no todo ${id}`);
  return json(shown(todo));
}

async function add({ request }) {
  const body = await readJson(request);
  const title = text(body.title, "title", TITLE_MAX);
  const id = await ds.insert(TODOS, { title, done: false });
  const todo = await ds.get(TODOS, id);
  return json(shown(todo), 201, { location: `/api/todos/${id}` });
}

async function change({ request, params }) {
  const { title, done, ...rest } = await readJson(request);
  const unknown = Object.keys(rest);
  if (unknown.length > 0) {
    throw new Refusal(400, "BAD_FIELD", `a todo has title and done, not ${unknown.join(", ")}`);
  }
  const changes = {};
  if (title !== undefined) changes.title = text(title, "title", TITLE_MAX);
  if (done !== undefined) {
    if (typeof done !== "boolean") throw new Refusal(400, "BAD_FIELD", "done is true or false");
    changes.done = done;
  }
  if (Object.keys(changes).length > 0) {
    // This document alone: two people who tick two todos at once do not meet.
    await ds.update(TODOS, { id: params.id }, { $set: changes });
  }
  return one(params.id);
}

async function remove({ params }) {
  const removed = await ds.delete(TODOS, { id: params.id });
  if (removed === 0) throw new Refusal(404, "NO_SUCH_TODO", `there is no todo ${params.id}`);
  return new Response(null, { status: 204 });
}

async function clear({ url }) {
  if (url.searchParams.get("done") !== "true") {
    throw new Refusal(400, "BAD_FIELD", "only what is done is cleared: ?done=true");
  }
  return json({ removed: await ds.delete(TODOS, { done: true }) });
}

export default routes({
  "GET /api/todos": list,
  "POST /api/todos": add,
  "DELETE /api/todos": clear,
  "GET /api/todos/:id": ({ params }) => one(params.id),
  "PATCH /api/todos/:id": change,
  "DELETE /api/todos/:id": remove,
});
