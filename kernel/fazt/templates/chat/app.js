// The page: one room, what was said in it, and a line to say something.

import { listen } from "/live.js";

const $ = (selector) => document.querySelector(selector);
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const log = $("#log");

let room;
let live;
let lastAuthor;

function roomOfAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)).trim().slice(0, 40) || "lobby";
  } catch {
    return "lobby";
  }
}

function enter() {
  live?.end();
  room = roomOfAddress();
  $("#room").textContent = `#${room}`;
  document.title = `#${room} · {{name}}`;
  lastAuthor = undefined;
  log.replaceChildren();
  live = listen(room, arrived, problem);
}

function problem(message) {
  $("#problem").textContent = message === null ? "" : `Not connected: ${message}`;
}

function arrived(messages, whole) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  if (whole) {
    lastAuthor = undefined;
    log.replaceChildren();
  }
  log.append(...messages.map(line));
  $("#empty").hidden = log.childElementCount > 0;
  // Who reads what was said before is not torn away from it.
  if (atEnd || whole) log.scrollTop = log.scrollHeight;
}

function line({ author, text, at }) {
  const item = document.createElement("li");
  item.classList.toggle("mine", author === $("#name").value.trim());
  const said = document.createElement("p");
  said.textContent = text;
  const when = document.createElement("time");
  when.dateTime = new Date(at).toISOString();
  when.textContent = time.format(at);
  const name = document.createElement("strong");
  name.textContent = author;
  name.className = author === lastAuthor ? "unseen" : "";
  lastAuthor = author;
  item.append(name, said, when);
  return item;
}

$("#say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, text } = event.target;
  const said = text.value;
  if (said.trim() === "") return;
  // Emptied at once, so that the next line can be typed while this one travels.
  text.value = "";
  try {
    const response = await fetch(`/api/rooms/${encodeURIComponent(room)}/messages`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ author: name.value, text: said }),
    });
    if (!response.ok) throw new Error((await response.json()).error?.message ?? response.statusText);
    live.soon();
  } catch (error) {
    $("#problem").textContent = `That was not sent: ${error.message}`;
    text.value ||= said;
  }
  text.focus();
});
$("#name").value = localStorage.getItem("name") ?? "";
$("#name").addEventListener("change", ({ target }) => localStorage.setItem("name", target.value));
addEventListener("hashchange", enter);
enter();
