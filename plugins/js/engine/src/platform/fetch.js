// Request, Response and fetch (fetch.spec.whatwg.org §5). Their state is one object under S; the
// Headers, the signal and the stream of a body are made when somebody asks.

const FORM = "application/x-www-form-urlencoded;charset=UTF-8", TEXT = "text/plain;charset=UTF-8";

/** Sets `body` and `type` of a state. Bodies are null, text, bytes or a stream. */
function extract(state, body) {
  state.type = null;
  if (body === null || body === undefined) state.body = null;
  else if (typeof body === "string") {
    state.body = body;
    state.type = TEXT;
  } else if (body instanceof URLSearchParams) {
    state.body = body.toString();
    state.type = FORM;
  } else {
    const bytes = bytesOf(body);
    if (bytes !== undefined) state.body = bytes.slice();
    else if ($.extractLazily === undefined || !$.extractLazily(state, body)) {
      state.body = scalar(body);
      state.type = TEXT;
    }
  }
}

function stateOf(owner) {
  const state = owner?.[S];
  if (state === undefined) throw new TypeError("Illegal invocation");
  return state;
}

/** The whole body as text, bytes or null, or a promise of it. The body is used from here on. */
function take(owner) {
  const state = stateOf(owner), { body } = state;
  if (body === null) return null;
  if (used(state)) throw new TypeError("Body is unusable: Body has already been read");
  state.used = true;
  if (typeof body === "string" || body instanceof Uint8Array) return body;
  if (body === INCOMING) return $.incomingBytes(state.id);
  if (body.locked) {
    state.used = false;
    throw new TypeError("Body is unusable: Body has already been read");
  }
  return $.readAll(body);
}

function used(state) {
  return state.used || (typeof state.body === "object" && state.body !== null && state.body._disturbed === true);
}

/** What `convert` makes of the body, as a promise. */
function consume(owner, convert) {
  try {
    const body = take(owner);
    if (body instanceof Promise) return body.then(convert);
    return PromiseResolve(convert(body));
  } catch (error) {
    return Promise.reject(error);
  }
}
const asText = (body) => (body === null ? "" : typeof body === "string" ? withoutMark(scalar(body)) : native.decode("utf-8", body, false, true, false));
const withoutMark = (text) => (text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
const asBytes = (body) => (body === null ? new Uint8Array(0) : typeof body === "string" ? native.encode(body) : body);

/** A body that is still coming from the node. */
const INCOMING = Symbol("incoming");

const bodyMethods = {
  text() { return consume(this, asText); },
  json() { return consume(this, (body) => parse(asText(body))); },
  arrayBuffer() {
    return consume(this, (body) => {
      const bytes = asBytes(body);
      return bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
    });
  },
  bytes() { return consume(this, asBytes); },
  blob() {
    return consume(this, (body) => new Blob([asBytes(body)], { type: this.headers.get("content-type") ?? "" }));
  },
  formData() {
    const type = this.headers.get("content-type") ?? "";
    return consume(this, (body) => $.parts().parseForm(asBytes(body), type));
  },
};
const bodyGetters = {
  body: {
    get() {
      const state = stateOf(this);
      if (state.body === null) return null;
      if (typeof state.body === "string" || state.body instanceof Uint8Array || state.body === INCOMING) {
        const { used } = state;
        state.body = $.streamOf(state.body, state.id);
        if (used) state.body.getReader();
      }
      return state.body;
    },
  },
  bodyUsed: { get() { return stateOf(this).body !== null && !!used(stateOf(this)); } },
  headers: {
    get() {
      const state = stateOf(this);
      if (typeof state.headers === "string") state.headers = new Headers(state.headers, TOKEN);
      return state.headers;
    },
  },
};

function cloneState(state) {
  if (used(state) || state.body?.locked) throw new TypeError("Response.clone: Body has already been consumed.");
  const copy = { ...state, headers: typeof state.headers === "string" ? state.headers : $.headerText(state.headers), signal: undefined };
  if (state.body === INCOMING) state.body = $.streamOf(INCOMING, state.id);
  if (state.body !== null && typeof state.body === "object" && !(state.body instanceof Uint8Array)) {
    [state.body, copy.body] = state.body.tee();
  }
  return copy;
}

const METHODS = new Map(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"].map((name) => [name, name]));

function methodName(method) {
  method = String(method);
  const known = METHODS.get(method);
  if (known !== undefined) return known;
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method)) throw new TypeError(`'${method}' is not a valid HTTP method.`);
  const upper = method.toUpperCase();
  if (upper === "CONNECT" || upper === "TRACE" || upper === "TRACK") throw new TypeError(`'${method}' HTTP method is unsupported.`);
  return upper !== "PATCH" && METHODS.has(upper) ? upper : method;
}

/** Adds the type of an extracted body unless the headers have one. */
function typed(state) {
  if (state.type === null) return;
  if (state.headers === "" || !/(^|\n)content-type\n/.test(typeof state.headers === "string" ? state.headers : $.headerText(state.headers))) {
    if (typeof state.headers === "string") state.headers += "content-type\n" + state.type + "\n";
    else state.headers.append("content-type", state.type);
  }
}

class Request {
  constructor(input, init) {
    if (init === TOKEN) {
      this[S] = input;
      return;
    }
    need(arguments, 1);
    const from = input?.[S]?.method !== undefined ? input[S] : undefined;
    const state = this[S] = { id: 0, method: "GET", url: "", headers: "", body: null, type: null, used: false, signal: undefined };
    if (from === undefined) {
      let url;
      try {
        url = new URL(input);
      } catch {
        throw new TypeError("Failed to parse URL from " + String(input));
      }
      if (url.username || url.password) throw new TypeError("Request cannot be constructed from a URL that includes credentials: " + url.href);
      state.url = url.href;
    } else {
      state.url = from.url;
      state.method = from.method;
      state.headers = typeof from.headers === "string" ? from.headers : $.headerText(from.headers);
      state.signal = from.signal ?? (from.id ? input.signal : undefined);
      for (const key of SETTINGS) if (from[key] !== undefined) state[key] = from[key];
    }
    if (init !== undefined && init !== null) {
      if (typeof init !== "object" && typeof init !== "function") throw new TypeError("Request: the second argument is an object");
      if (init.method !== undefined) state.method = methodName(init.method);
      if (init.headers !== undefined) state.headers = headerText(init.headers);
      if (init.signal !== undefined && init.signal !== null && !(init.signal instanceof AbortSignal)) {
        throw new TypeError("Failed to construct 'Request': member signal is not of type AbortSignal.");
      }
      if (init.signal !== undefined) state.signal = init.signal ?? undefined;
      for (const key of SETTINGS) if (init[key] !== undefined) state[key] = String(init[key]);
      if (init.redirect !== undefined && !["follow", "error", "manual"].includes(state.redirect)) {
        throw new TypeError(`'${state.redirect}' is not a value of redirect`);
      }
      if (init.keepalive !== undefined) state.keepalive = !!init.keepalive;
    }
    const given = init?.body;
    if (given !== undefined && given !== null) {
      if (state.method === "GET" || state.method === "HEAD") throw new TypeError("Request with GET/HEAD method cannot have body.");
      extract(state, given);
      if (isStream(state.body) && init.duplex !== "half") throw new TypeError("RequestInit: duplex option is required when sending a body.");
      typed(state);
    } else if (from !== undefined && from.body !== null && given !== null) {
      if (state.method === "GET" || state.method === "HEAD") throw new TypeError("Request with GET/HEAD method cannot have body.");
      if (used(from)) throw new TypeError("Cannot construct a Request with a Request object that has already been used.");
      state.body = from.body;
      state.type = from.type;
      state.id = from.id;
      from.used = true;
    }
  }
  get method() { return stateOf(this).method; }
  get url() { return stateOf(this).url; }
  get signal() {
    const state = stateOf(this);
    if (state.signal === undefined) {
      state.signal = new AbortSignal(TOKEN);
      if (state.id) {
        native.remember(state.id);
        $.signals.set(state.id, state.signal);
      }
    }
    return state.signal;
  }
  get redirect() { return stateOf(this).redirect ?? "follow"; }
  get mode() { return stateOf(this).mode ?? "cors"; }
  get credentials() { return stateOf(this).credentials ?? "same-origin"; }
  get cache() { return stateOf(this).cache ?? "default"; }
  get integrity() { return stateOf(this).integrity ?? ""; }
  get referrer() { return stateOf(this).referrer ?? "about:client"; }
  get referrerPolicy() { return stateOf(this).referrerPolicy ?? ""; }
  get keepalive() { return stateOf(this).keepalive ?? false; }
  get destination() { return ""; }
  get duplex() { return "half"; }
  clone() {
    const copy = new Request(cloneState(stateOf(this)), TOKEN);
    return copy;
  }
}
const SETTINGS = ["redirect", "mode", "credentials", "cache", "integrity", "referrer", "referrerPolicy"];

const isStream = (body) => typeof body === "object" && body !== null && !(body instanceof Uint8Array);

class Response {
  constructor(body, init) {
    if (init === TOKEN) {
      this[S] = body;
      return;
    }
    const state = this[S] = { status: 200, statusText: "", headers: "", body: null, type: null, used: false };
    if (init !== undefined && init !== null) {
      if (typeof init !== "object" && typeof init !== "function") throw new TypeError("Response: the second argument is an object");
      if (init.status !== undefined) state.status = statusOf(init.status);
      if (init.statusText !== undefined) {
        state.statusText = String(init.statusText);
        if (/[^\t\x20-\x7e\x80-\xff]/.test(state.statusText)) throw new TypeError("Invalid statusText");
      }
      if (init.headers !== undefined) state.headers = headerText(init.headers);
    }
    if (body !== null && body !== undefined) {
      extract(state, body);
      if (empty(state.status)) throw new TypeError(`Response constructor: Invalid response status code ${state.status}`);
      typed(state);
    }
  }
  static json(data, init) {
    need(arguments, 1);
    const body = stringify(data);
    if (body === undefined) throw new TypeError("Value is not JSON serializable");
    if (init === undefined) {
      return new Response({ status: 200, statusText: "", headers: "content-type\napplication/json\n", body, type: null, used: false }, TOKEN);
    }
    const response = new Response(null, init), state = response[S];
    if (empty(state.status)) throw new TypeError(`Response constructor: Invalid response status code ${state.status}`);
    state.body = body;
    state.type = "application/json";
    typed(state);
    return response;
  }
  static redirect(url, status = 302) {
    need(arguments, 1);
    const parsed = URL.parse(url);
    if (parsed === null) throw new TypeError("Failed to parse URL from " + url);
    status = Number(status);
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`Invalid status code ${status}`);
    return new Response({ status, statusText: "", headers: `location\n${parsed.href}\n`, body: null, type: null, used: false }, TOKEN);
  }
  static error() {
    return new Response({ status: 0, statusText: "", headers: "", body: null, type: null, used: false, kind: "error" }, TOKEN);
  }
  get status() { return stateOf(this).status; }
  get statusText() { return stateOf(this).statusText; }
  get ok() {
    const { status } = stateOf(this);
    return status >= 200 && status < 300;
  }
  get type() { return stateOf(this).kind ?? "default"; }
  get url() { return stateOf(this).url ?? ""; }
  get redirected() { return stateOf(this).redirected ?? false; }
  clone() { return new Response(cloneState(stateOf(this)), TOKEN); }
}

const empty = (status) => status === 204 || status === 205 || status === 304 || status === 101;

function statusOf(status) {
  if (typeof status !== "number" || status % 1 !== 0) status = Math.trunc(Number(status));
  if (!(status >= 200 && status <= 599)) throw new RangeError('init["status"] must be in the range of 200 to 599, inclusive.');
  return status;
}

for (const { prototype } of [Request, Response]) {
  Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(bodyMethods));
  for (const name of Object.keys(bodyGetters)) Object.defineProperty(prototype, name, { ...bodyGetters[name], enumerable: true, configurable: true });
}

$.signals = new Map();

// fetch

/** Arguments of the node's `net.fetch`: `(url, options)`. */
function wireOf(state, body) {
  const list = $.headerList(typeof state.headers === "string" ? new Headers(state.headers, TOKEN) : state.headers), headers = [];
  for (let i = 0; i < list.length; i += 2) headers.push([list[i], list[i + 1]]);
  const options = { method: state.method, headers, redirect: state.redirect ?? "follow" };
  if (body !== null) options.body = body;
  return [state.url, options];
}

/** What a request to another machine may say besides the standard: a secret, limits, a cache. */
function extras(init, options) {
  for (const name of ["auth", "timeout", "cacheTtl", "maxBytes"]) {
    if (init?.[name] !== undefined) options[name] = init[name];
  }
}

/** The state of a Response from what `net.fetch` answers. */
function answered(answer) {
  const pairs = Array.isArray(answer.headers) ? answer.headers : Object.entries(answer.headers ?? {});
  let headers = "";
  for (const [name, value] of pairs) {
    for (const one of Array.isArray(value) ? value : [value]) headers += String(name).toLowerCase() + "\n" + String(one) + "\n";
  }
  const { body = null, status = 200 } = answer;
  return {
    status, statusText: answer.statusText ?? "", headers, body: empty(status) || body === "" ? null : body, type: null, used: false,
    url: answer.url ?? "", redirected: !!answer.redirected, kind: answer.type ?? "basic",
  };
}

async function fetch(input, init) {
  need(arguments, 1);
  const request = new Request(input, init), state = request[S], { signal } = state;
  signal?.throwIfAborted();
  let body = state.body === null ? null : take(request);
  if (body instanceof Promise) body = await body;
  const wire = wireOf(state, body);
  extras(init, wire[1]);
  const call = $.call("net.fetch", wire).then(
    (answer) => new Response(answered(answer), TOKEN),
    (error) => {
      const failed = new TypeError("fetch failed: " + error.message, { cause: error });
      failed.code = error.code;
      throw failed;
    },
  );
  if (signal === undefined) return call;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    call.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** `fazt.net.fetch`: blocks, and answers plain values. */
function syncFetch(url, options = {}) {
  const headers = options.headers === undefined ? [] : $.headerList(new Headers(options.headers));
  const list = [];
  for (let i = 0; i < headers.length; i += 2) list.push([headers[i], headers[i + 1]]);
  const request = { method: options.method === undefined ? "GET" : methodName(options.method), headers: list, redirect: options.redirect ?? "follow" };
  extras(options, request);
  if (options.body !== undefined && options.body !== null) {
    request.body = typeof options.body === "string" || bytesOf(options.body) ? options.body : stringify(options.body);
  }
  const state = answered($.callSync("net.fetch", [String(url), request])), plain = {};
  for (const [name, value] of new Headers(state.headers, TOKEN)) plain[name] = value;
  const text = () => asText(state.body);
  return {
    status: state.status, ok: state.status >= 200 && state.status < 300, url: state.url, headers: plain,
    text, json: () => parse(text()), bytes: () => asBytes(state.body),
  };
}
