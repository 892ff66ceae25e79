// `fazt`: what plugins offer, made out of the list that came with the cell, and what needs no node.

const pending = new Map();
const indexOf = new Map();

/** JSON with bytes as {"$bytes": base64}. */
function encodeValue(value) {
  if (typeof value !== "object" || value === null) return stringify(value) ?? "null";
  return stringify(value, function (key, item) {
    if (typeof item !== "object" || item === null) return item;
    const bytes = bytesOf(item);
    return bytes === undefined ? item : { $bytes: native.base64(bytes) };
  }) ?? "null";
}
function encodeArguments(args) {
  let count = args.length;
  while (count > 0 && args[count - 1] === undefined) count--;
  let text = "[";
  for (let i = 0; i < count; i++) text += (i ? "," : "") + encodeValue(args[i]);
  return text + "]";
}
/** The other way round, for an answer that holds bytes somewhere. */
function revive(text) {
  return parse(text, (key, item) => {
    if (item !== null && typeof item === "object" && typeof item.$bytes === "string" && Object.keys(item).length === 1) {
      return native.unbase64(item.$bytes);
    }
    return item;
  });
}

function failure(code, message, kind) {
  const error = new Error(message);
  error.code = code;
  error.kind = kind;
  return error;
}

function callSync(index, args) {
  // [ok, value], [ok, JSON text that holds bytes, true] or [false, code, message, kind].
  const answer = native.callSync(index, encodeArguments(args));
  if (answer[0]) return answer[2] ? revive(answer[1]) : answer[1];
  throw failure(answer[1], answer[2], answer[3]);
}
function callLater(index, args) {
  return new Promise((resolve, reject) => {
    pending.set(native.call(index, encodeArguments(args)), [resolve, reject]);
  });
}

/** An answer arrived; called by the engine. */
function settle(id, ok, value, bytes) {
  const waiting = pending.get(id);
  if (waiting === undefined) return;
  pending.delete(id);
  waiting[0](bytes ? revive(value) : value);
}
/** A refusal arrived; called by the engine. */
function refuse(id, code, message, kind) {
  const waiting = pending.get(id);
  if (waiting === undefined) return;
  pending.delete(id);
  waiting[1](failure(code, message, kind));
}

function missing(name) {
  return failure("NO_BINDING", `fazt.${name} is not there: no running plugin offers it`, "unavailable");
}
$.call = (name, args) => {
  const index = indexOf.get(name);
  return index === undefined ? Promise.reject(missing(name)) : callLater(index, args);
};
$.callSync = (name, args) => {
  const index = indexOf.get(name);
  if (index === undefined) throw missing(name);
  return callSync(index, args);
};
$.offers = (name) => indexOf.has(name);

/** Puts `value` at a dotted path below `object`. */
function place(object, path, value) {
  const names = path.split("."), last = names.pop();
  for (const name of names) object = object[name] ??= {};
  object[last] = value;
}

/** The object of one namespace: `blocking` says whether calls wait. */
function namespace(top, list, blocking) {
  let made = {};
  for (const [index, name, promise] of list) {
    const call = blocking || !promise ? (...args) => callSync(index, args) : (...args) => callLater(index, args);
    Object.defineProperty(call, "name", { value: name, configurable: true });
    // `fazt.NAME` itself may be a function that has others.
    if (name === top) made = Object.assign(call, made);
    else place(made, name.slice(top.length + 1), call);
  }
  return made;
}

/** Makes `fazt`. */
function makeFazt(blocking) {
  const tops = new Map();
  config.bindings.forEach(([name, promise], index) => {
    indexOf.set(name, index);
    const top = name.split(".", 1)[0];
    if (top === "job") return;
    let list = tops.get(top);
    if (list === undefined) tops.set(top, list = []);
    list.push([index, name, promise]);
  });
  const local = {
    app: () => ({ id: config.app.id, name: config.app.name, url: config.app.url }),
    env: () => ({
      get: (key, fallback) => (Object.hasOwn(config.env, key) ? config.env[key] : fallback),
      has: (key) => Object.hasOwn(config.env, key),
      all: () => ({ ...config.env }),
    }),
    log: () => ({ debug: console.debug, info: console.info, warn: console.warn, error: console.error }),
    session: () => ({ id: () => native.workspace() ?? null }),
    net: () => ({ fetch: (...args) => $.web().syncFetch(...args) }),
  };
  const fill = (target, blocks) => {
    for (const top of new Set([...tops.keys(), ...Object.keys(local)])) {
      Object.defineProperty(target, top, {
        enumerable: true,
        configurable: true,
        get: () => {
          const made = namespace(top, tops.get(top) ?? [], blocks);
          Object.assign(made, local[top]?.());
          Object.defineProperty(target, top, { value: made, writable: true });
          return made;
        },
        set: (value) => Object.defineProperty(target, top, { value, writable: true }),
      });
    }
    return target;
  };
  const fazt = fill({ version: config.version }, blocking);
  Object.defineProperty(fazt, "sync", {
    configurable: true,
    get: () => {
      const sync = fill({}, true);
      Object.defineProperty(fazt, "sync", { value: sync });
      return sync;
    },
  });
  expose({ fazt });
}
