// The page: what it knows, how that is drawn, and what it asks of the API.

const $ = (selector) => document.querySelector(selector);
const alert = $("[role=alert]");

let todos = [];
let show = "all";

/** Asks the API; says what is wrong, and answers nothing then. */
async function ask(method, path, body) {
  try {
    const response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const answer = response.status === 204 ? {} : await response.json();
    if (!response.ok) throw new Error(answer.error?.message ?? response.statusText);
    alert.textContent = "";
    return answer;
  } catch (error) {
    alert.textContent = `That did not work: ${error.message}`;
    return undefined;
  }
}

async function load() {
  const all = [];
  let cursor = null;
  do {
    const query = cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`;
    const page = await ask("GET", `/api/todos${query}`);
    if (page === undefined) return;
    all.push(...page.todos);
    cursor = page.cursor;
  } while (cursor !== null);
  todos = all;
  draw();
}

async function add(title) {
  const todo = await ask("POST", "/api/todos", { title });
  if (todo === undefined) return false;
  todos = [todo, ...todos];
  draw();
  return true;
}

async function tick(todo, done) {
  const changed = await ask("PATCH", `/api/todos/${todo.id}`, { done });
  if (changed !== undefined) todos = todos.map((one) => (one.id === todo.id ? changed : one));
  draw();
}

async function remove(todo) {
  if ((await ask("DELETE", `/api/todos/${todo.id}`)) === undefined) return load();
  todos = todos.filter((one) => one.id !== todo.id);
  draw();
}

function draw() {
  const isShown = { all: () => true, open: (todo) => !todo.done, done: (todo) => todo.done }[show];
  const shown = todos.filter(isShown);
  const open = todos.filter((todo) => !todo.done).length;
  $("#todos").replaceChildren(...shown.map(row));
  $("#empty").hidden = shown.length > 0;
  $("#empty").textContent = todos.length === 0 ? "Nothing to do yet." : "Nothing here.";
  $("#count").textContent = `${open} to do`;
  $("#clear").hidden = open === todos.length;
  for (const button of document.querySelectorAll("[data-show]")) {
    button.ariaPressed = String(button.dataset.show === show);
  }
}

function row(todo) {
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: todo.done });
  box.addEventListener("change", () => tick(todo, box.checked));
  const title = document.createElement("span");
  title.textContent = todo.title;
  const label = document.createElement("label");
  label.append(box, title);
  const button = Object.assign(document.createElement("button"), { className: "plain", textContent: "×" });
  button.ariaLabel = `Remove ${todo.title}`;
  button.addEventListener("click", () => remove(todo));
  const item = document.createElement("li");
  item.append(label, button);
  return item;
}

$("#add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  button.disabled = true;
  if (await add(form.title.value)) form.reset();
  button.disabled = false;
  form.title.focus();
});
$("#clear").addEventListener("click", async () => {
  if ((await ask("DELETE", "/api/todos?done=true")) !== undefined) await load();
});
for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => {
    show = button.dataset.show;
    draw();
  });
}

load();
