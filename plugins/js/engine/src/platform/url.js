// URL and URLSearchParams (url.spec.whatwg.org); parsing and serialising are native.

// What `native.url` answers: the serialised URL and where its parts end, see native/url.rs.
const HREF = 0, SCHEME = 1, USER_START = 2, USER = 3, PASSWORD_START = 4, PASSWORD = 5, HOST_START = 6, HOST = 7,
  PORT_START = 8, PORT = 9, PATH = 10, QUERY = 11, ORIGIN = 12;

class URL {
  #u;
  #params = null;
  constructor(url, base) {
    need(arguments, 1);
    this.#u = native.url(String(url), base === undefined ? undefined : String(base));
    if (this.#u === undefined) {
      const error = new TypeError("Invalid URL");
      error.code = "ERR_INVALID_URL";
      error.input = String(url);
      if (base !== undefined) error.base = String(base);
      throw error;
    }
  }
  static canParse(url, base) {
    need(arguments, 1);
    return native.url(String(url), base === undefined ? undefined : String(base)) !== undefined;
  }
  static parse(url, base) {
    try {
      return new URL(url, base);
    } catch {
      return null;
    }
  }
  #cut(from, to) { return this.#u[HREF].slice(this.#u[from], to === undefined ? undefined : this.#u[to]); }
  #set(part, value) {
    const changed = native.urlSet(this.#u[HREF], part, String(value));
    if (changed !== undefined) this.#u = changed;
  }
  get href() { return this.#u[HREF]; }
  set href(value) {
    const changed = native.url(String(value), undefined);
    if (changed === undefined) throw new TypeError("Invalid URL");
    this.#u = changed;
    this.#refresh();
  }
  get origin() { return this.#u[ORIGIN]; }
  get protocol() { return this.#u[HREF].slice(0, this.#u[SCHEME]); }
  set protocol(value) { this.#set("protocol", value); }
  get username() { return this.#cut(USER_START, USER); }
  set username(value) { this.#set("username", value); }
  get password() { return this.#cut(PASSWORD_START, PASSWORD); }
  set password(value) { this.#set("password", value); }
  get host() { return this.#cut(HOST_START, PORT); }
  set host(value) { this.#set("host", value); }
  get hostname() { return this.#cut(HOST_START, HOST); }
  set hostname(value) { this.#set("hostname", value); }
  get port() { return this.#cut(PORT_START, PORT); }
  set port(value) { this.#set("port", value); }
  get pathname() { return this.#u[HREF].slice(this.#u[ORIGIN + 1], this.#u[PATH]); }
  set pathname(value) { this.#set("pathname", value); }
  get search() {
    const search = this.#cut(PATH, QUERY);
    return search.length > 1 ? search : "";
  }
  set search(value) {
    this.#set("search", value);
    this.#refresh();
  }
  get hash() {
    const hash = this.#cut(QUERY);
    return hash.length > 1 ? hash : "";
  }
  set hash(value) { this.#set("hash", value); }
  get searchParams() {
    return this.#params ??= $.paramsOf(this.search, (search) => this.#set("search", search));
  }
  #refresh() { if (this.#params) $.refreshParams(this.#params, this.search); }
  toString() { return this.href; }
  toJSON() { return this.href; }
}

class URLSearchParams {
  #list;
  #changed = null;
  constructor(init = "") {
    if (init === null) init = "";
    if (typeof init === "object" || typeof init === "function") {
      this.#list = [];
      if (init instanceof URLSearchParams) this.#list = init.#list.slice();
      else if (init[Symbol.iterator] !== undefined && init[Symbol.iterator] !== null) {
        for (const pair of init) {
          if (pair === null || typeof pair !== "object") throw new TypeError("Each query pair must be an iterable [name, value] tuple");
          const both = [...pair];
          if (both.length !== 2) throw new TypeError("Each query pair must be an iterable [name, value] tuple");
          this.#list.push(scalar(both[0]), scalar(both[1]));
        }
      } else {
        const seen = new Map();
        for (const key of Reflect.ownKeys(init)) {
          const property = Object.getOwnPropertyDescriptor(init, key);
          if (!property?.enumerable) continue;
          seen.set(scalar(key), scalar(init[key]));
        }
        for (const [key, value] of seen) this.#list.push(key, value);
      }
    } else this.#list = this.#parse(String(init));
  }
  #parse(text) { return native.query(text.charCodeAt(0) === 63 ? text.slice(1) : text); }
  #touch() { this.#changed?.(this.toString()); }
  get size() { return this.#list.length / 2; }
  append(name, value) {
    need(arguments, 2);
    this.#list.push(scalar(name), scalar(value));
    this.#touch();
  }
  delete(name, value) {
    need(arguments, 1);
    name = scalar(name);
    if (value !== undefined) value = scalar(value);
    const list = this.#list;
    this.#list = [];
    for (let i = 0; i < list.length; i += 2) {
      if (list[i] !== name || (value !== undefined && list[i + 1] !== value)) this.#list.push(list[i], list[i + 1]);
    }
    this.#touch();
  }
  get(name) {
    need(arguments, 1);
    name = scalar(name);
    for (let i = 0; i < this.#list.length; i += 2) if (this.#list[i] === name) return this.#list[i + 1];
    return null;
  }
  getAll(name) {
    need(arguments, 1);
    name = scalar(name);
    return this.#list.filter((_, i) => i % 2 === 1 && this.#list[i - 1] === name);
  }
  has(name, value) {
    need(arguments, 1);
    name = scalar(name);
    if (value !== undefined) value = scalar(value);
    for (let i = 0; i < this.#list.length; i += 2) {
      if (this.#list[i] === name && (value === undefined || this.#list[i + 1] === value)) return true;
    }
    return false;
  }
  set(name, value) {
    need(arguments, 2);
    name = scalar(name);
    value = scalar(value);
    const list = this.#list;
    this.#list = [];
    let found = false;
    for (let i = 0; i < list.length; i += 2) {
      if (list[i] !== name) this.#list.push(list[i], list[i + 1]);
      else if (!found) {
        found = true;
        this.#list.push(name, value);
      }
    }
    if (!found) this.#list.push(name, value);
    this.#touch();
  }
  sort() {
    const pairs = [];
    for (let i = 0; i < this.#list.length; i += 2) pairs.push([this.#list[i], this.#list[i + 1]]);
    pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    this.#list = pairs.flat();
    this.#touch();
  }
  forEach(callback, self) {
    if (typeof callback !== "function") throw new TypeError("forEach needs a function");
    for (let i = 0; i < this.#list.length; i += 2) callback.call(self, this.#list[i + 1], this.#list[i], this);
  }
  *entries() { for (let i = 0; i < this.#list.length; i += 2) yield [this.#list[i], this.#list[i + 1]]; }
  *keys() { for (let i = 0; i < this.#list.length; i += 2) yield this.#list[i]; }
  *values() { for (let i = 0; i < this.#list.length; i += 2) yield this.#list[i + 1]; }
  toString() { return native.queryText(this.#list); }
  static {
    $.paramsOf = (search, changed) => {
      const params = new URLSearchParams(search);
      params.#changed = changed;
      return params;
    };
    $.refreshParams = (params, search) => { params.#list = params.#parse(search); };
  }
}
Object.defineProperty(URLSearchParams.prototype, Symbol.iterator, { value: URLSearchParams.prototype.entries, writable: true, configurable: true });
