// Classic scripts and the 0.4 style: one realm per request, `request`, `respond`, `require`.

export function init($, native, config) {
  const { bytesOf, expose, headerName, headerValue, fail, outcome, makeJob } = $.kit;
  const { stringify, parse } = JSON;

  class Answer {
    constructor(status, body, headers) {
      this.status = status;
      this.body = body;
      this.headers = headers;
    }
  }

  let last;
  const fits = (status) => Number.isInteger(status) && status >= 100 && status <= 599;

  /** respond([status,] body [, headers]) */
  function respond(first, second, third) {
    if (typeof first === "number") last = new Answer(fits(first) ? first : 200, second, third);
    else if (typeof second === "number" && third === undefined && arguments.length === 2) last = new Answer(fits(second) ? second : 200, first);
    else last = new Answer(200, first, second);
    return last;
  }

  /** Whether an object is meant as a response: nothing but status, headers and body, and sensible ones. */
  function isDescription(value) {
    const keys = Object.keys(value);
    if (!keys.length || Array.isArray(value)) return false;
    return keys.every((key) => key === "status" || key === "headers" || key === "body") &&
      ("status" in value || "body" in value) &&
      (value.status === undefined || fits(value.status)) &&
      (value.headers === undefined || value.headers === null || typeof value.headers === "object");
  }

  /** Sends what a script came to. */
  function deliver(id, value) {
    if ($.classes && value instanceof $.classes.Response) return $.web().send(id, value);
    let answer = value;
    if (!(value instanceof Answer)) {
      const plain = typeof value === "object" && value !== null && bytesOf(value) === undefined && isDescription(value);
      answer = plain ? new Answer(value.status ?? 200, value.body, value.headers) : new Answer(200, value);
    }
    let { body } = answer, headers = "", type = false;
    const given = $.classes && answer.headers instanceof $.classes.Headers ? [...answer.headers] : Object.entries(answer.headers ?? {});
    for (const [name, one] of given) {
      for (const item of Array.isArray(one) ? one : [one]) {
        if (item !== undefined && item !== null) headers += headerName(name) + "\n" + headerValue(item) + "\n";
      }
      type ||= name.toLowerCase() === "content-type";
    }
    const say = (kind) => { if (!type) headers += `content-type\n${kind}\n`; };
    if (body === undefined || body === null) body = null;
    else if (typeof body === "string") say("text/plain; charset=utf-8");
    else {
      const bytes = bytesOf(body);
      if (bytes !== undefined) {
        body = bytes;
        say("application/octet-stream");
      } else {
        body = stringify(body) ?? "";
        say("application/json");
      }
    }
    native.respond(id, answer.status, headers, body, false);
  }

  // The request.

  function own(object, key, value) {
    if (!Object.hasOwn(object, key)) Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  }
  function fields(list) {
    const made = {};
    for (let i = 0; i < list.length; i += 2) own(made, list[i], list[i + 1]);
    return made;
  }
  /** Headers with lower-case keys that are found under any case. */
  function headersOf(text) {
    const list = text.split("\n"), made = {};
    for (let i = 0; i + 1 < list.length; i += 2) {
      if (Object.hasOwn(made, list[i])) made[list[i]] += (list[i] === "cookie" ? "; " : ", ") + list[i + 1];
      else own(made, list[i], list[i + 1]);
    }
    const name = (key) => (typeof key === "string" && !Object.hasOwn(made, key) ? key.toLowerCase() : key);
    return new Proxy(made, {
      get: (target, key) => (Object.hasOwn(target, name(key)) ? target[name(key)] : Reflect.get(target, key)),
      has: (target, key) => Object.hasOwn(target, name(key)) || Reflect.has(target, key),
      getOwnPropertyDescriptor: (target, key) => Reflect.getOwnPropertyDescriptor(target, name(key)) ?? Reflect.getOwnPropertyDescriptor(target, key),
    });
  }

  /** `body` and `files`; throws if the client says JSON and sends something else. */
  function bodyOf(method, type, bytes) {
    const files = {};
    if (bytes === undefined || method === "GET" || method === "HEAD") return { body: undefined, files };
    bytes = new Uint8Array(bytes);
    const kind = type.split(";", 1)[0].trim().toLowerCase();
    const text = () => native.decode("utf-8", bytes, false, true, false);
    if (kind === "application/json" || kind.endsWith("+json")) return { body: parse(text()), files };
    if (kind === "application/x-www-form-urlencoded") return { body: fields(native.query(text())), files };
    if (kind === "multipart/form-data") {
      const parts = native.multipart(bytes, type);
      if (parts === undefined) throw new SyntaxError("the multipart body is malformed");
      const body = {};
      for (const [name, filename, type, start, end] of parts) {
        if (filename === undefined) own(body, name, native.decode("utf-8", bytes.subarray(start, end), false, true, false));
        else own(files, name, { name: filename, type: type || "application/octet-stream", size: end - start, data: bytes.slice(start, end).buffer });
      }
      return { body, files };
    }
    const plain = native.decode("utf-8", bytes, true, true, false);
    return { body: plain === null ? bytes.buffer : plain, files };
  }

  /** A URL's parts, by their places; see native/url.rs. */
  function partsOf(url) {
    const at = native.url(url, undefined), href = at[0];
    return { pathname: href.slice(at[13], at[10]), search: href.slice(at[10], at[11]), host: href.slice(at[6], at[9]) };
  }
  function decoded(path) {
    try {
      return decodeURIComponent(path);
    } catch {
      return path;
    }
  }

  // require

  const modules = new Map(), wrappers = new Map();
  const folder = (path) => path.slice(0, path.lastIndexOf("/") + 1);

  /** The path in the app, or undefined when it leads out of it. */
  function joinPath(base, path) {
    const names = [];
    for (const name of (base + path).split("/")) {
      if (name === "..") {
        if (!names.length) return undefined;
        names.pop();
      } else if (name !== "" && name !== ".") names.push(name);
    }
    return names.join("/");
  }
  function cannot(id, why) {
    const error = new Error(`cannot require '${id}': ${why}`);
    error.code = "MODULE_NOT_FOUND";
    return error;
  }
  function requireFrom(base) {
    const require = (id) => {
      id = String(id);
      if ($.libraries().has(id)) return $.libraries().get(id);
      const wanted = id.startsWith("/") ? joinPath("", id) : joinPath(base, id);
      if (wanted === undefined) throw cannot(id, "it lies outside of the app");
      const path = [wanted, wanted + ".js", wanted + ".cjs", wanted + ".json", wanted + ".ts", wanted + "/index.js"].find((name) => native.hasFile(name));
      if (path === undefined) throw cannot(id, "no such file among the app's server files");
      const known = modules.get(path);
      if (known) return known.exports;
      const module = { exports: {}, id: path, filename: path, loaded: false };
      modules.set(path, module);
      try {
        if (path.endsWith(".json")) module.exports = parse(native.readFile(path));
        else (wrappers.get(path) ?? native.wrapped(path))(module.exports, requireFrom(folder(path)), module, path, folder(path).slice(0, -1));
      } catch (error) {
        modules.delete(path);
        throw error;
      }
      module.loaded = true;
      return module.exports;
    };
    require.cache = {};
    return require;
  }

  // Running.

  const FELL_THROUGH = Symbol("end");
  let handlerOfBody;

  /** Runs the script; answers what it returned or came to, and its `handler`. */
  function execute(path) {
    const module = { exports: {}, filename: path };
    const before = module.exports;
    expose({ module, exports: module.exports, require: requireFrom(folder(path)), __filename: path, __dirname: folder(path).slice(0, -1) });
    const end = (handler) => {
      handlerOfBody = handler;
      return FELL_THROUGH;
    };
    const [kind, value] = native.runClassic(path, end);
    const find = () => {
      let handler = kind === 0 ? (0, eval)("typeof handler === 'function' ? handler : undefined") : handlerOfBody;
      if (!handler && typeof module.exports === "function") handler = module.exports;
      if (!handler && module.exports !== before && typeof module.exports?.default === "function") handler = module.exports.default;
      return handler ?? (typeof module.exports?.handler === "function" ? module.exports.handler : undefined);
    };
    return { value, find, exports: () => module.exports };
  }

  /** A request; called by the engine in a fresh realm. */
  function beginClassic(path, id, method, url, headers, bytes, ip, root) {
    const parsed = partsOf(url), list = headersOf(headers);
    let content;
    try {
      content = bodyOf(method, root ? "" : list["content-type"] ?? "", bytes);
    } catch (error) {
      return fail(id, error, "MALFORMED_BODY");
    }
    if (root) return beginRoot(path, id, method, parsed, list, content.body);
    const request = {
      method, path: decoded(parsed.pathname), query: fields(native.query(parsed.search.slice(1))), headers: list,
      body: content.body, files: content.files, ip, host: parsed.host, url,
    };
    expose({ request, respond });
    try {
      const ran = execute(path);
      const finish = (value, isReturn) => {
        if (isReturn && value !== undefined && value !== FELL_THROUGH) return deliver(id, last !== undefined && !(value instanceof Answer) ? last : value);
        if (last !== undefined) return deliver(id, last);
        const handler = ran.find();
        if (handler && (value === undefined || value === FELL_THROUGH || typeof value === "function")) {
          return then(id, handler(request, respond), (value) => deliver(id, value instanceof Answer ? value : last ?? value));
        }
        deliver(id, value === FELL_THROUGH || typeof value === "function" ? undefined : value);
      };
      then(id, ran.value, (value) => finish(value, value instanceof Answer));
    } catch (error) {
      fail(id, error);
    }
  }
  /** Goes on with a value or with what a promise comes to. */
  function then(id, value, next) {
    if (value === null || typeof value !== "object" || typeof value.then !== "function") return next(value);
    Promise.resolve(value).then(next).catch((error) => fail(id, error));
  }

  // The 0.4 style: `main.js` at the root.

  function beginRoot(path, id, method, url, headers, body) {
    let status = 200, sent;
    const extra = {};
    const send = (value, type) => {
      sent = new Answer(status, value, { ...(type && !extra["content-type"] ? { "content-type": type } : {}), ...extra });
    };
    const res = {
      send: (value) => send(value, typeof value === "string" ? "text/html; charset=utf-8" : undefined),
      json: (value) => send(stringify(value), "application/json"),
      status: (code) => {
        status = fits(Number(code)) ? Number(code) : 200;
        return res;
      },
      header: (name, value) => {
        extra[String(name).toLowerCase()] = String(value);
        return res;
      },
    };
    const db = {
      get: (key) => $.callSync("app.kv.get", [key]) ?? undefined,
      set: (key, value) => $.callSync("app.kv.set", [key, value]),
      delete: (key) => $.callSync("app.kv.delete", [key]),
    };
    const socket = {
      broadcast: (...args) => $.callSync(args.length > 1 ? "realtime.broadcast" : "realtime.broadcastAll", args),
      clients: () => $.callSync("realtime.count", []),
    };
    const fetch = (address, options) => {
      try {
        const answer = globalThis.fazt.net.fetch(address, options);
        return { status: answer.status, headers: answer.headers, body: answer.text() };
      } catch (error) {
        return { error: error.message };
      }
    };
    const req = { method, path: decoded(url.pathname), query: url.search.slice(1), headers, body: body === undefined ? "" : body };
    expose({ req, res, db, socket, fetch, process: { env: { ...config.env } } });
    try {
      const ran = execute(path);
      then(id, ran.value, (value) => {
        if (sent !== undefined) return deliver(id, sent);
        const handler = ran.find();
        if (!handler || value instanceof Answer) return deliver(id, sent ?? new Answer(status, null, extra));
        then(id, handler(req, res), (value) => deliver(id, sent ?? (value === undefined ? new Answer(status, null, extra) : value)));
      });
    } catch (error) {
      fail(id, error);
    }
  }

  /** A job or an event; called by the engine in a fresh realm. */
  function beginClassicWork(path, id, kind, name, text) {
    try {
      const given = kind === "job" ? makeJob(text) : parse(text);
      expose({ [kind === "job" ? "job" : "event"]: given, sleep });
      const ran = execute(path);
      then(id, ran.value, (value) => {
        const exported = ran.exports();
        const handler = (kind === "job" ? undefined : typeof exported?.[name] === "function" ? exported[name] : undefined) ?? ran.find();
        const done = value === undefined || value === FELL_THROUGH || typeof value === "function";
        if (!handler || !done) return outcome(id, done ? undefined : value);
        then(id, handler(given), (value) => outcome(id, value));
      });
    } catch (error) {
      fail(id, error);
    }
  }
  const sleep = (ms) => native.sleep(Number(ms) || 0);

  /** What earlier scripts asked for, before this one does; called by the engine while it makes a realm. */
  function warm(kind, name) {
    if (kind === "library") $.libraries().get(name);
    else if (kind === "file") wrappers.set(name, native.wrapped(name));
    else if (kind === "part" && Object.hasOwn($, name) && typeof $[name] === "function") $[name]();
  }

  // Realms that are one and the same must not all draw the same numbers.
  Math.random = Object.defineProperty(native.chance, "name", { value: "random", configurable: true });

  return { beginClassic, beginClassicWork, warm };
}
