// What the other parts stand on: the door to the engine, checks, text, timers, the console.

const TOKEN = Symbol("token"), S = Symbol("state");
/** Doors between the parts; no app sees it. */
const $ = {};
let native, config;

const { stringify, parse } = JSON;
const PromiseResolve = Promise.resolve.bind(Promise);

function need(given, count) {
  if (given.length < count) throw new TypeError(`${count} argument${count === 1 ? "" : "s"} required, but only ${given.length} present`);
}

/** A string without lone surrogates. */
function scalar(value) {
  const text = typeof value === "string" ? value : String(value);
  return text.isWellFormed() ? text : text.toWellFormed();
}

/** The bytes of a buffer or view, shared with it; undefined for anything else. */
function bytesOf(value) {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return new Uint8Array(value);
  return undefined;
}

/** Defines globals the way the platform does. */
function expose(names) {
  for (const name of Object.keys(names)) {
    Object.defineProperty(globalThis, name, { value: names[name], writable: true, enumerable: false, configurable: true });
  }
}

/** Globals that cost nothing until somebody asks for them. */
function exposeLazily(names, load) {
  for (const name of names) {
    Object.defineProperty(globalThis, name, {
      enumerable: false,
      configurable: true,
      get: () => {
        const value = load()[name];
        expose({ [name]: value });
        return value;
      },
      set: (value) => expose({ [name]: value }),
    });
  }
}

/** Names what classes make. */
function tagged(classes) {
  for (const name of Object.keys(classes)) {
    Object.defineProperty(classes[name].prototype, Symbol.toStringTag, { value: name, configurable: true });
  }
}

/** The same, and defines them as globals. */
function interfaces(classes) {
  tagged(classes);
  expose(classes);
}

// Errors that nobody can catch.

$.report = (error) => native.log(3, "Uncaught " + describe(error));

function describe(error) {
  if (error instanceof Error || (error && typeof error === "object" && typeof error.stack === "string" && "message" in error)) {
    const head = error.name && error.name !== "Error" || error.message ? `${error.name}: ${error.message}` : String(error);
    return native.stack(head, String(error.stack ?? ""));
  }
  return typeof error === "string" ? error : inspect(error);
}

// Timers (html.spec.whatwg.org §8.6).

const timers = new Map();
let timerNext = 1;

function timer(repeat, callback, delay, args) {
  if (typeof callback !== "function") {
    if (arguments.length && (callback === undefined || callback === null)) throw new TypeError("The callback must be a function");
    const source = String(callback);
    callback = () => (0, eval)(source);
  }
  delay = Math.trunc(Number(delay)) || 0;
  if (delay < 0 || delay > 2147483647) delay = delay < 0 ? 0 : 1;
  const id = timerNext++;
  timers.set(id, { callback, args, delay, repeat });
  native.timer(id, delay);
  return id;
}

function setTimeout(callback, delay, ...args) { return timer(false, callback, delay, args); }
function setInterval(callback, delay, ...args) { return timer(true, callback, delay, args); }
function clearTimeout(id) {
  id = Number(id);
  if (timers.delete(id)) native.untimer(id);
}

/** A timer is due; called by the engine. */
function fire(id) {
  const entry = timers.get(id);
  if (entry === undefined) return;
  if (entry.repeat) native.timer(id, Math.max(entry.delay, 1));
  else timers.delete(id);
  try {
    entry.callback(...entry.args);
  } catch (error) {
    $.report(error);
  }
}

/** A request ended: its timers do not outlive it. Called by the engine. */
function forgetTimers(ids) { for (const id of ids) timers.delete(id); }

// The console (console.spec.whatwg.org), printed as Node prints.

function inspect(value, depth = 0, seen = [], inner = false) {
  switch (typeof value) {
    case "string": return inner ? quote(value) : value;
    case "bigint": return value + "n";
    case "number": return Object.is(value, -0) ? "-0" : String(value);
    case "symbol": return value.toString();
    case "function": return /^class\b/.test(Function.prototype.toString.call(value)) ? `[class ${value.name || "(anonymous)"}]` : `[Function${value.name ? ": " + value.name : " (anonymous)"}]`;
    case "object": break;
    default: return String(value);
  }
  if (value === null) return "null";
  if (seen.includes(value)) return "[Circular *1]";
  try {
    if (value instanceof Error) {
      const text = describe(value), keys = Object.keys(value);
      return keys.length ? `${text} ${braces(value, keys, depth, [...seen, value], "{", "}")}` : text;
    }
    if (value instanceof Date) return isNaN(value) ? "Invalid Date" : value.toISOString();
    if (value instanceof RegExp) return String(value);
    if (value instanceof Promise) return "Promise { ? }";
    if ($.classes && value instanceof $.classes.URL) return inner ? quote(value.href) : value.href;
    const name = value.constructor?.name ?? (Object.getPrototypeOf(value) === null ? "[Object: null prototype]" : "");
    const deeper = [...seen, value];
    if (depth > 2) return Array.isArray(value) ? "[Array]" : `[${name || "Object"}]`;
    if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) {
      const items = Array.prototype.slice.call(value, 0, 100).map((item) => inspect(item, depth + 1, deeper, true));
      if (value.length > 100) items.push(`... ${value.length - 100} more items`);
      return listed(Array.isArray(value) ? "" : `${name}(${value.length}) `, items, "[", "]");
    }
    if (value instanceof Map) {
      return listed(`Map(${value.size}) `, [...value].slice(0, 100).map(([k, v]) => `${inspect(k, depth + 1, deeper, true)} => ${inspect(v, depth + 1, deeper, true)}`), "{", "}");
    }
    if (value instanceof Set) return listed(`Set(${value.size}) `, [...value].slice(0, 100).map((v) => inspect(v, depth + 1, deeper, true)), "{", "}");
    if (value instanceof ArrayBuffer) return `ArrayBuffer { byteLength: ${value.byteLength} }`;
    if ($.classes && (value instanceof $.classes.Headers || value instanceof $.classes.URLSearchParams)) {
      return listed(name + " ", [...value].map(([k, v]) => `${quote(k)} => ${quote(v)}`), "{", "}");
    }
    const tag = name === "Object" || name === "" ? "" : name + " ";
    return tag + braces(value, Object.keys(value), depth, deeper);
  } catch (error) {
    return `[object that cannot be shown: ${error?.message}]`;
  }
}
function quote(text) {
  const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : "'";
  return mark + text.replace(/[\\\n\r\t\b\f\v]|'/g, (c) => (c === "'" ? (mark === "'" ? "\\'" : c) : stringify(c).slice(1, -1))) + mark;
}
function braces(value, keys, depth, seen) {
  const items = keys.slice(0, 100).map((key) => {
    const name = /^[A-Za-z_$][\w$]*$/.test(key) ? key : quote(key);
    const property = Object.getOwnPropertyDescriptor(value, key);
    return `${name}: ${property?.get ? (property.set ? "[Getter/Setter]" : "[Getter]") : inspect(value[key], depth + 1, seen, true)}`;
  });
  if (keys.length > 100) items.push(`... ${keys.length - 100} more`);
  return listed("", items, "{", "}");
}
function listed(head, items, open, close) {
  if (!items.length) return head + open + close;
  const line = `${head}${open} ${items.join(", ")} ${close}`;
  return line.length <= 76 && !line.includes("\n") ? line : `${head}${open}\n  ${items.map((item) => item.replaceAll("\n", "\n  ")).join(",\n  ")}\n${close}`;
}

/** What `console.log` prints for these arguments. */
function format(args) {
  let text = "", at = 0;
  if (typeof args[0] === "string" && args.length > 1 && args[0].includes("%")) {
    at = 1;
    text = args[0].replace(/%([sdifjoOc%])/g, (whole, kind) => {
      if (kind === "%") return "%";
      if (at >= args.length) return whole;
      const value = args[at++];
      switch (kind) {
        case "s": return typeof value === "string" ? value : typeof value === "object" && value !== null ? inspect(value, 2) : String(value);
        case "d": return typeof value === "bigint" ? value + "n" : typeof value === "symbol" ? "NaN" : String(Number(value));
        case "i": return typeof value === "bigint" ? value + "n" : typeof value === "symbol" ? "NaN" : String(parseInt(value, 10));
        case "f": return typeof value === "symbol" ? "NaN" : String(parseFloat(value));
        case "j": return stringify(value);
        case "c": return "";
        default: return inspect(value);
      }
    });
  }
  for (let i = at; i < args.length; i++) text += (i ? " " : "") + inspect(args[i]);
  return text;
}

const counts = new Map(), clocks = new Map();
let indent = "";
function print(level, args) {
  const text = format(args);
  native.log(level, indent ? indent + text.replaceAll("\n", "\n" + indent) : text);
}
const console = {
  log: (...args) => print(1, args),
  info: (...args) => print(1, args),
  debug: (...args) => print(0, args),
  warn: (...args) => print(2, args),
  error: (...args) => print(3, args),
  trace: (...args) => print(0, ["Trace: " + format(args) + "\n" + native.stack("", new Error().stack)]),
  dir: (value) => print(1, [value]),
  dirxml: (...args) => print(1, args),
  table: (value) => print(1, [value]),
  assert: (condition, ...args) => { if (!condition) print(3, args.length ? ["Assertion failed:", ...args] : ["Assertion failed"]); },
  count: (label = "default") => {
    const n = (counts.get(String(label)) ?? 0) + 1;
    counts.set(String(label), n);
    print(1, [`${label}: ${n}`]);
  },
  countReset: (label = "default") => { counts.delete(String(label)); },
  group: (...args) => {
    if (args.length) print(1, args);
    if (indent.length < 40) indent += "  ";
  },
  groupCollapsed: (...args) => console.group(...args),
  groupEnd: () => { indent = indent.slice(2); },
  time: (label = "default") => { clocks.set(String(label), performance.now()); },
  timeLog: (label = "default", ...args) => print(1, [`${label}: ${(performance.now() - (clocks.get(String(label)) ?? NaN)).toFixed(3)}ms`, ...args]),
  timeEnd: (label = "default") => {
    console.timeLog(label);
    clocks.delete(String(label));
  },
};
Object.defineProperty(console, Symbol.toStringTag, { value: "console", configurable: true });

/** The bytes of several arrays in one. */
function joined(chunks) {
  if (chunks.length === 1) return chunks[0];
  const all = new Uint8Array(chunks.reduce((size, bytes) => size + bytes.length, 0));
  let at = 0;
  for (const bytes of chunks) {
    all.set(bytes, at);
    at += bytes.length;
  }
  return all;
}

// Names and values of headers (fetch.spec.whatwg.org §2.2.2).

const NAMES = new Map();

/** The lower-case form of a header's name; throws if it is none. Remembers what apps use all the time. */
function headerName(name) {
  if (typeof name !== "string") name = String(name);
  let lower = NAMES.get(name);
  if (lower === undefined) {
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) throw new TypeError(`Header name is not valid: ${name}`);
    lower = name.toLowerCase();
    if (NAMES.size > 256) NAMES.clear();
    NAMES.set(name, lower);
  }
  return lower;
}

const VALUES = new Set();

/** A header's value without white space around it; throws if it cannot be sent. */
function headerValue(value) {
  if (typeof value !== "string") value = String(value);
  if (VALUES.has(value)) return value;
  const known = value;
  value = value.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (/[\0\r\n\u0100-\uffff]/.test(value)) throw new TypeError("Header value is not valid");
  if (value === known && value.length < 64) {
    if (VALUES.size > 256) VALUES.clear();
    VALUES.add(value);
  }
  return value;
}
