// Headers (fetch.spec.whatwg.org §5.1). A list of pairs in one array, or still the text of the frame.

/** The pairs of whatever initialises headers, each given to `add`. */
function eachHeader(init, add) {
  if (init instanceof Headers) {
    const list = $.headerList(init);
    for (let i = 0; i < list.length; i += 2) add(list[i], list[i + 1]);
  } else if (init === null || (typeof init !== "object" && typeof init !== "function")) {
    throw new TypeError("Headers are given as an object or a list of pairs");
  } else if (init[Symbol.iterator] !== undefined && init[Symbol.iterator] !== null) {
    for (const pair of init) {
      const [...both] = pair;
      if (both.length !== 2) throw new TypeError("A header is a pair of name and value");
      add(headerName(both[0]), headerValue(both[1]));
    }
  } else {
    for (const name of Reflect.ownKeys(init)) {
      const property = Object.getOwnPropertyDescriptor(init, name);
      if (property?.enumerable) add(headerName(name), headerValue(init[name]));
    }
  }
}

/** The same as the text of a frame, made without a Headers object. */
function headerText(init) {
  let text = "";
  eachHeader(init, (name, value) => { text += name + "\n" + value + "\n"; });
  return text;
}

class Headers {
  #list;
  #text;
  constructor(init, token) {
    if (token === TOKEN) {
      this.#text = init;
      return;
    }
    this.#list = [];
    if (init !== undefined) eachHeader(init, (name, value) => this.#list.push(name, value));
  }
  #pairs() {
    if (this.#list === undefined) {
      this.#list = this.#text.split("\n");
      this.#list.pop();
      this.#text = undefined;
    }
    return this.#list;
  }
  append(name, value) {
    need(arguments, 2);
    this.#pairs().push(headerName(name), headerValue(value));
  }
  delete(name) {
    need(arguments, 1);
    const list = this.#pairs();
    name = headerName(name);
    let kept = 0;
    for (let i = 0; i < list.length; i += 2) {
      if (list[i] !== name) {
        list[kept++] = list[i];
        list[kept++] = list[i + 1];
      }
    }
    list.length = kept;
  }
  get(name) {
    need(arguments, 1);
    name = headerName(name);
    const list = this.#pairs();
    let found = null;
    for (let i = 0; i < list.length; i += 2) {
      if (list[i] === name) found = found === null ? list[i + 1] : found + ", " + list[i + 1];
    }
    return found;
  }
  has(name) {
    need(arguments, 1);
    name = headerName(name);
    const list = this.#pairs();
    for (let i = 0; i < list.length; i += 2) if (list[i] === name) return true;
    return false;
  }
  set(name, value) {
    need(arguments, 2);
    name = headerName(name);
    value = headerValue(value);
    const list = this.#pairs();
    for (let i = 0; i < list.length; i += 2) {
      if (list[i] === name) {
        list[i + 1] = value;
        let kept = i + 2;
        for (let j = i + 2; j < list.length; j += 2) {
          if (list[j] !== name) {
            list[kept++] = list[j];
            list[kept++] = list[j + 1];
          }
        }
        list.length = kept;
        return;
      }
    }
    list.push(name, value);
  }
  getSetCookie() {
    const list = this.#pairs(), found = [];
    for (let i = 0; i < list.length; i += 2) if (list[i] === "set-cookie") found.push(list[i + 1]);
    return found;
  }
  forEach(callback, self) {
    if (typeof callback !== "function") throw new TypeError("forEach needs a function");
    for (const [name, value] of this) callback.call(self, value, name, this);
  }
  #sorted() {
    const list = this.#pairs(), entries = [], at = new Map();
    for (let i = 0; i < list.length; i += 2) {
      const name = list[i], known = name === "set-cookie" ? undefined : at.get(name);
      if (known !== undefined) known[1] += ", " + list[i + 1];
      else {
        const entry = [name, list[i + 1]];
        at.set(name, entry);
        entries.push(entry);
      }
    }
    return entries.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  }
  *entries() { yield* this.#sorted(); }
  *keys() { for (const [name] of this.#sorted()) yield name; }
  *values() { for (const [, value] of this.#sorted()) yield value; }
  static {
    $.headerList = (headers) => headers.#pairs();
    $.headerText = (headers) => {
      if (headers.#list === undefined) return headers.#text;
      return headers.#list.length ? headers.#list.join("\n") + "\n" : "";
    };
  }
}
Object.defineProperty(Headers.prototype, Symbol.iterator, { value: Headers.prototype.entries, writable: true, configurable: true });
