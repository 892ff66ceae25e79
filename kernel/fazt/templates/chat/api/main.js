// Messages in rooms. See README.md; `routes` and the rest are in http.js.

import { json, readJson, routes, text } from "./http.js";

const { ds } = fazt.app;

const MESSAGES = "messages";
const PAGE = 100;
const KEPT = 5_000;
const ROOM_MAX = 40;
const NAME_MAX = 40;
const TEXT_MAX = 1_000;

// Once per cell. Messages of a room are then found without looking at those of others.
await ds.index(MESSAGES, "room");

const shown = ({ id, author, text: said, _createdAt }) => ({ id, author, text: said, at: _createdAt });

/**
 * The newest messages of a room, oldest first; with `?after=ID`, those that came after that one. The order of
 * a collection is the order in which documents were inserted, so nothing is ever missed or comes twice.
 */
async function list({ params, url }) {
  const room = text(params.room, "the room", ROOM_MAX);
  const newest = await ds.find(MESSAGES, { room }, { limit: PAGE });
  const known = newest.findIndex((message) => message.id === url.searchParams.get("after"));
  const fresh = known === -1 ? newest : newest.slice(0, known);
  // Whoever knew a message that is older than a page has a gap, and is told to start anew.
  const whole = known === -1;
  return json({ messages: fresh.reverse().map(shown), whole }, 200, { "cache-control": "no-store" });
}

async function say({ request, params, ctx }) {
  const room = text(params.room, "the room", ROOM_MAX);
  const body = await readJson(request);
  const message = {
    room,
    author: text(body.author, "author", NAME_MAX),
    text: text(body.text, "text", TEXT_MAX),
  };
  const id = await ds.insert(MESSAGES, message);
  // Now and then, and after the answer: old messages go.
  if (Math.random() < 0.01) ctx.waitUntil(ds.deleteOldest(MESSAGES, KEPT));
  return json(shown({ ...message, id, _createdAt: Date.now() }), 201);
}

export default routes({
  "GET /api/rooms/:room/messages": list,
  "POST /api/rooms/:room/messages": say,
});
