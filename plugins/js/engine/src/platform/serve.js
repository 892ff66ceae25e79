// Requests in module style: from the engine's call to the handler, and from its answer to the engine.

const handlers = [];

class ExecutionContext {
  waitUntil(promise) {
    const state = this[S];
    if (state.waits === null) {
      state.waits = [];
      native.hold(state.id);
    }
    state.waits.push(PromiseResolve(promise).catch((error) => $.report(error)));
  }
  passThroughOnException() {}
  get props() { return {}; }
}

/** The function that answers requests, out of what a module exports. */
function adopt(exported) {
  const main = exported.default;
  if (typeof main === "function" && !/^class\b/.test(Function.prototype.toString.call(main))) {
    // Some frameworks export a function that carries `fetch` as well.
    return typeof main.fetch === "function" ? (request, env, ctx) => main.fetch(request, env, ctx) : main;
  }
  if (main !== null && typeof main === "object" && typeof main.fetch === "function") {
    return (request, env, ctx) => main.fetch(request, env, ctx);
  }
  const names = Object.keys(exported).filter((name) => METHODS.has(name) && typeof exported[name] === "function");
  if (names.length) {
    return (request, env, ctx) => {
      const named = exported[request.method] ?? (request.method === "HEAD" ? exported.GET : undefined);
      if (typeof named === "function") return named(request, env, ctx);
      const allow = names.includes("GET") && !names.includes("HEAD") ? [...names, "HEAD"] : names;
      return new Response(null, { status: request.method === "OPTIONS" ? 204 : 405, headers: { allow: allow.join(", ") } });
    };
  }
  if (typeof exported.fetch === "function") return exported.fetch;
  const error = new TypeError("the module exports no handler: export default { fetch(request) {…} }, a function, or GET, POST, …");
  error.code = "NO_HANDLER";
  throw error;
}

/** Starts a request; called by the engine. */
function begin(entry, path, id, method, url, headers, body, more) {
  if (body !== undefined) body = new Uint8Array(body);
  const state = { id, method, url, headers, body: body ?? null, type: null, used: false, signal: undefined };
  if (more) {
    incoming.set(id, { chunks: body === undefined ? [] : [body], last: false, wake: null, taken: 0 });
    state.body = INCOMING;
  }
  const request = new Request(state, TOKEN), handler = handlers[entry];
  if (typeof handler === "function") return run(handler, id, request);
  if (handler === undefined) native.loading(entry, true);
  (handler ?? (handlers[entry] = load(entry, path))).then(
    (ready) => run(ready, id, request),
    (error) => fail(id, error, error?.code === "NO_HANDLER" ? "NO_HANDLER" : "LOAD_ERROR"),
  );
}
async function load(entry, path) {
  try {
    return (handlers[entry] = adopt(await import("/" + path)));
  } catch (error) {
    // What failed may work the next time: when whoever came first left, nobody asked in its name any more.
    native.unloadable();
    throw error;
  } finally {
    // Who came meanwhile waits outside, and begins now, each in a turn of its own.
    native.loading(entry, false);
  }
}

function run(handler, id, request) {
  const ctx = new ExecutionContext(), state = ctx[S] = { id, waits: null };
  let answer;
  try {
    answer = handler(request, config.env, ctx);
    if (answer?.[S] !== undefined) {
      send(id, answer);
      if (state.waits !== null) release(state);
      return;
    }
  } catch (error) {
    return refuseRequest(state, error);
  }
  PromiseResolve(answer).then((answer) => {
    try {
      send(id, answer);
    } catch (error) {
      fail(id, error);
    }
    if (state.waits !== null) release(state);
  }, (error) => refuseRequest(state, error));
}
function refuseRequest(state, error) {
  fail(state.id, error);
  if (state.waits !== null) release(state);
}

/** Lets go of a request whose `waitUntil` is done. */
function release({ id, waits }) {
  let known = waits.length;
  const again = () => {
    if (waits.length === known) return native.release(id);
    known = waits.length;
    Promise.allSettled(waits).then(again);
  };
  Promise.allSettled(waits).then(again);
}

function send(id, response) {
  const state = response?.[S];
  if (state === undefined || state.status === undefined) {
    throw new TypeError(`the handler answered ${inspect(response, 2)}, not a Response`);
  }
  if (state.kind === "error") throw new TypeError("the handler answered Response.error()");
  const headers = typeof state.headers === "string" ? state.headers : $.headerText(state.headers);
  const { body } = state;
  if (body === null || typeof body === "string" || body instanceof Uint8Array) {
    if (state.used) throw new TypeError("the handler answered a Response whose body was used");
    if (body !== null) state.used = true;
    native.respond(id, state.status, headers, body, false);
    return;
  }
  if (used(state)) throw new TypeError("the handler answered a Response whose body was used");
  const stream = body === INCOMING ? $.streamOf(INCOMING, state.id) : body;
  state.used = true;
  const reader = stream.getReader();
  native.respond(id, state.status, headers, null, true);
  outgoing.set(id, { reader, wake: null });
  pump(id, reader);
}

// Bodies that stream.

const outgoing = new Map(), incoming = new Map();
const NOTHING = new Uint8Array(0);

async function pump(id, reader) {
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (!outgoing.has(id)) return;
      if (done) break;
      const bytes = typeof value === "string" ? native.encode(value) : bytesOf(value);
      if (bytes === undefined) throw new TypeError("a streamed body consists of Uint8Array chunks");
      if (!native.chunk(id, bytes, false)) {
        await new Promise((wake) => { outgoing.get(id).wake = wake; });
        if (!outgoing.has(id)) return;
      }
    }
    outgoing.delete(id);
    native.chunk(id, NOTHING, true);
  } catch (error) {
    if (!outgoing.delete(id)) return;
    reader.cancel(error).catch(() => {});
    fail(id, error);
  }
}
/** There is room again; called by the engine. */
function credit(id) {
  const stream = outgoing.get(id), wake = stream?.wake;
  if (wake) {
    stream.wake = null;
    wake();
  }
}

/** More of a request's body; called by the engine. */
function chunk(id, buffer, last) {
  const body = incoming.get(id);
  if (body === undefined) return;
  if (buffer.byteLength) body.chunks.push(new Uint8Array(buffer));
  body.last ||= last;
  const { wake } = body;
  body.wake = null;
  wake?.();
}
/** The next piece of a request's body, or undefined at its end. */
async function nextChunk(id) {
  const body = incoming.get(id);
  if (body === undefined) throw new TypeError("the request is over");
  while (!body.chunks.length) {
    if (body.failed) throw body.failed;
    if (body.last) return undefined;
    await new Promise((wake) => { body.wake = wake; });
  }
  const bytes = body.chunks.shift();
  native.credit(id, bytes.length);
  return bytes;
}
$.nextChunk = nextChunk;
$.incomingBytes = async (id) => {
  const chunks = [];
  for (let bytes; (bytes = await nextChunk(id)) !== undefined;) chunks.push(bytes);
  return joined(chunks);
};
/** The client left, or the time is up; called by the engine. */
function cancel(id, text) {
  const reason = new DOMException(text, "AbortError");
  const signal = $.signals.get(id);
  if (signal) $.abort(signal, reason);
  const stream = outgoing.get(id);
  if (stream) {
    outgoing.delete(id);
    stream.wake?.();
    stream.reader.cancel(reason).catch(() => {});
  }
  const body = incoming.get(id);
  if (body) {
    body.failed = reason;
    body.wake?.();
  }
}

/** A request is over; called by the engine when it had more than a body and an answer. */
function forget(id, timersOfIt) {
  forgetTimers(timersOfIt);
  $.signals.delete(id);
  incoming.delete(id);
  outgoing.delete(id);
}

// Jobs and events.

const isFunction = (value) => typeof value === "function";

/** Runs a handler of a module; called by the engine. */
function beginWork(id, path, kind, name, text) {
  import("/" + path).then(async (exported) => {
    const main = exported.default;
    if (kind === "job") {
      const handler = [main, exported.handler, main?.handler, exported.job].find(isFunction);
      if (!handler) throw new TypeError(`${path} exports no handler for jobs: export default function (job) {…}`);
      return handler(makeJob(text), config.env);
    }
    const handler = [exported[name], main?.[name], main].find(isFunction);
    if (!handler) throw new TypeError(`${path} exports no function ${name}`);
    const waits = [];
    const ctx = { waitUntil: (promise) => waits.push(promise) };
    const holder = handler === main?.[name] ? main : exported;
    const value = await handler.call(holder, parse(text), config.env, ctx);
    await Promise.allSettled(waits);
    return value;
  }).then((value) => outcome(id, value)).catch((error) => fail(id, error));
}
