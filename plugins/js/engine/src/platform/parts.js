// Blob, File, FormData (with multipart bodies) and structuredClone: loaded when first asked for.

export function init($, native) {
  const { need, scalar, bytesOf, interfaces, joined } = $.kit;

  // Blob and File (w3c.github.io/FileAPI).

  const type = (text) => {
    text = String(text);
    return /[^\x20-\x7e]/.test(text) ? "" : text.toLowerCase();
  };
  class Blob {
    #bytes;
    #type;
    constructor(parts, options = {}) {
      if (parts !== undefined && (parts === null || typeof parts !== "object" || typeof parts[Symbol.iterator] !== "function")) {
        throw new TypeError("Blob: the parts are a sequence");
      }
      if (options !== null && typeof options !== "object" && typeof options !== "function") throw new TypeError("Blob: the options are an object");
      const native_ = options?.endings === "native", pieces = [];
      for (const part of parts ?? []) {
        if (part instanceof Blob) pieces.push(part.#bytes);
        else pieces.push(bytesOf(part)?.slice() ?? native.encode(native_ ? String(part).replace(/\r?\n/g, "\n") : String(part)));
      }
      this.#bytes = joined(pieces);
      this.#type = options?.type === undefined ? "" : type(options.type);
    }
    get size() { return this.#bytes.length; }
    get type() { return this.#type; }
    slice(start = 0, end = this.size, contentType = "") {
      const part = new Blob([]);
      part.#bytes = this.#bytes.slice(start, end);
      part.#type = type(contentType);
      return part;
    }
    async text() { return native.decode("utf-8", this.#bytes, false, true, false); }
    async arrayBuffer() { return this.#bytes.slice().buffer; }
    async bytes() { return this.#bytes.slice(); }
    stream() { return $.streamOf(this.#bytes.slice()); }
    static { bytesOfBlob = (blob) => blob.#bytes; }
  }
  var bytesOfBlob;
  class File extends Blob {
    #name;
    #modified;
    constructor(parts, name, options = {}) {
      need(arguments, 2);
      super(parts, options);
      this.#name = scalar(name);
      this.#modified = options?.lastModified === undefined ? Date.now() : Math.trunc(Number(options.lastModified)) || 0;
    }
    get name() { return this.#name; }
    get lastModified() { return this.#modified; }
  }

  // FormData (xhr.spec.whatwg.org §5).

  class FormData {
    #entries = [];
    constructor(form) {
      if (form !== undefined) throw new TypeError("FormData takes no form here");
    }
    #value(value, name) {
      if (!(value instanceof Blob)) {
        if (name !== undefined) throw new TypeError("a file name needs a Blob");
        return scalar(value);
      }
      if (value instanceof File && name === undefined) return value;
      return new File([value], name ?? "blob", { type: value.type, lastModified: value.lastModified });
    }
    append(name, value, filename) {
      need(arguments, 2);
      this.#entries.push([scalar(name), this.#value(value, filename)]);
    }
    set(name, value, filename) {
      need(arguments, 2);
      name = scalar(name);
      value = this.#value(value, filename);
      const at = this.#entries.findIndex((entry) => entry[0] === name);
      if (at < 0) this.#entries.push([name, value]);
      else {
        this.#entries[at] = [name, value];
        this.#entries = this.#entries.filter((entry, i) => i <= at || entry[0] !== name);
      }
    }
    delete(name) {
      need(arguments, 1);
      name = scalar(name);
      this.#entries = this.#entries.filter((entry) => entry[0] !== name);
    }
    get(name) {
      need(arguments, 1);
      name = scalar(name);
      return this.#entries.find((entry) => entry[0] === name)?.[1] ?? null;
    }
    getAll(name) {
      need(arguments, 1);
      name = scalar(name);
      return this.#entries.filter((entry) => entry[0] === name).map((entry) => entry[1]);
    }
    has(name) {
      need(arguments, 1);
      name = scalar(name);
      return this.#entries.some((entry) => entry[0] === name);
    }
    forEach(callback, self) { for (const [name, value] of this) callback.call(self, value, name, this); }
    *entries() { for (const [name, value] of this.#entries) yield [name, value]; }
    *keys() { for (const [name] of this.#entries) yield name; }
    *values() { for (const [, value] of this.#entries) yield value; }
  }
  Object.defineProperty(FormData.prototype, Symbol.iterator, { value: FormData.prototype.entries, writable: true, configurable: true });

  /** The form of a body. */
  function parseForm(bytes, contentType) {
    const form = new FormData(), kind = contentType.split(";", 1)[0].trim().toLowerCase();
    if (kind === "application/x-www-form-urlencoded") {
      const list = native.query(native.decode("utf-8", bytes, false, false, false));
      for (let i = 0; i < list.length; i += 2) form.append(list[i], list[i + 1]);
      return form;
    }
    const parts = kind === "multipart/form-data" ? native.multipart(bytes, contentType) : undefined;
    if (parts === undefined) throw new TypeError("Failed to parse body as FormData.");
    for (const [name, filename, type, start, end] of parts) {
      if (filename === undefined) form.append(name, native.decode("utf-8", bytes.subarray(start, end), false, true, false));
      else form.append(name, new File([bytes.subarray(start, end)], filename, { type: type || "application/octet-stream" }));
    }
    return form;
  }

  function multipart(form) {
    const boundary = "----formdata-fazt-" + native.hex(12), pieces = [];
    const name = (text) => text.replace(/\r\n?|\n/g, "\r\n").replace(/\n/g, "%0A").replace(/\r/g, "%0D").replace(/"/g, "%22");
    for (const [key, value] of form) {
      let head = `--${boundary}\r\ncontent-disposition: form-data; name="${name(key)}"`;
      if (typeof value === "string") pieces.push(native.encode(`${head}\r\n\r\n${value.replace(/\r\n?|\n/g, "\r\n")}\r\n`));
      else {
        head += `; filename="${name(value.name)}"\r\ncontent-type: ${value.type || "application/octet-stream"}\r\n\r\n`;
        pieces.push(native.encode(head), bytesOfBlob(value), native.encode("\r\n"));
      }
    }
    pieces.push(native.encode(`--${boundary}--\r\n`));
    return [joined(pieces), `multipart/form-data; boundary=${boundary}`];
  }

  function extract(state, body) {
    if (body instanceof Blob) {
      state.body = bytesOfBlob(body);
      state.type = body.type || null;
    } else if (body instanceof FormData) [state.body, state.type] = multipart(body);
    else return false;
    return true;
  }

  // structuredClone (html.spec.whatwg.org §2.7).

  const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
  const refuse = (value) => new DOMException(`${typeof value === "symbol" ? value.toString() : typeof value === "function" ? String(value) : "#<Object>"} could not be cloned.`, "DataCloneError");
  const bufferSize = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength").get;

  /** What the standard distinguishes. */
  function kindOf(item) {
    if (Array.isArray(item)) return "array";
    if (ArrayBuffer.isView(item)) return "view";
    for (const [kind, type] of KINDS) if (item instanceof type) return kind;
    return CLOSED.some((type) => item instanceof type) || S in item ? "closed" : "object";
  }
  const KINDS = [["map", Map], ["set", Set], ["date", Date], ["regexp", RegExp], ["error", Error], ["buffer", ArrayBuffer],
    ["boolean", Boolean], ["number", Number], ["string", String], ["bigint", BigInt], ["symbol", Symbol]];
  const CLOSED = [Promise, WeakMap, WeakSet, WeakRef, EventTarget, Event, Headers, URL, URLSearchParams];
  const { S } = $.kit;

  function structuredClone(value, options) {
    need(arguments, 1);
    const known = new Map(), moved = [...(options?.transfer ?? [])];
    for (const item of moved) {
      if (!(item instanceof ArrayBuffer)) throw refuse(item);
      if (item.detached) throw new DOMException("An ArrayBuffer is detached and could not be cloned.", "DataCloneError");
    }
    if (new Set(moved).size !== moved.length) throw new DOMException("ArrayBuffer occurs in the transfer list twice.", "DataCloneError");
    const copy = (item) => {
      if (typeof item === "symbol" || typeof item === "function") throw refuse(item);
      if (typeof item !== "object" || item === null) return item;
      if (known.has(item)) return known.get(item);
      const keep = (made) => {
        known.set(item, made);
        return made;
      };
      const tag = kindOf(item);
      switch (tag) {
        case "boolean": return keep(new Boolean(Boolean.prototype.valueOf.call(item)));
        case "number": return keep(new Number(Number.prototype.valueOf.call(item)));
        case "string": return keep(new String(String.prototype.valueOf.call(item)));
        case "bigint": return keep(Object(BigInt.prototype.valueOf.call(item)));
        case "symbol": throw refuse(item);
        case "date": return keep(new Date(Date.prototype.getTime.call(item)));
        case "regexp": return keep(new RegExp(item.source, item.flags));
        case "buffer": {
          if (item.detached) throw new DOMException("An ArrayBuffer is detached and could not be cloned.", "DataCloneError");
          return keep(item.resizable ? resized(item) : item.slice(0));
        }
        case "view": {
          const buffer = copy(item.buffer);
          const size = item instanceof DataView ? item.byteLength : item.length;
          return keep(new item.constructor(buffer, item.byteOffset, size));
        }
        case "map": {
          const made = keep(new Map());
          for (const [k, v] of [...Map.prototype.entries.call(item)]) made.set(copy(k), copy(v));
          return made;
        }
        case "set": {
          const made = keep(new Set());
          for (const v of [...Set.prototype.values.call(item)]) made.add(copy(v));
          return made;
        }
        case "error": {
          const name = Object.hasOwn(ERRORS, item.name) ? item.name : "Error";
          const made = keep(Object.create(ERRORS[name].prototype));
          const fresh = new ERRORS[name]();
          known.set(item, fresh);
          delete fresh.message;
          const message = Object.getOwnPropertyDescriptor(item, "message");
          if (message && "value" in message) hide(fresh, "message", String(message.value));
          hide(fresh, "stack", typeof item.stack === "string" ? item.stack : undefined);
          if (Object.hasOwn(item, "cause")) hide(fresh, "cause", copy(item.cause));
          return made && fresh;
        }
        case "array": {
          const made = keep(new Array(item.length));
          for (const key of Object.keys(item)) made[key] = copy(item[key]);
          return made;
        }
        case "object": {
          if (item instanceof Blob) return keep(item);
          const made = keep({});
          for (const key of Object.keys(item)) {
            if (Object.hasOwn(item, key)) {
              const inner = copy(item[key]);
              if (key === "__proto__") Object.defineProperty(made, key, { value: inner, writable: true, enumerable: true, configurable: true });
              else made[key] = inner;
            }
          }
          return made;
        }
        default: throw new DOMException(`#<${item.constructor?.name ?? "Object"}> could not be cloned.`, "DataCloneError");
      }
    };
    // What moves is taken first, so that views find it; a failure leaves it where it was.
    const moving = new Map();
    const before = moved.length ? copyMoving() : copy(value);
    return before;

    function copyMoving() {
      // A dry run finds what cannot be cloned before anything moves.
      copy(value);
      known.clear();
      for (const item of moved) {
        moving.set(item, bufferSize.call(item));
        known.set(item, item.slice(0));
      }
      const made = copy(value);
      for (const item of moved) item.transfer();
      return made;
    }
  }
  const hide = (object, key, value) => {
    if (value !== undefined) Object.defineProperty(object, key, { value, writable: true, enumerable: false, configurable: true });
  };
  function resized(buffer) {
    const made = new ArrayBuffer(buffer.byteLength, { maxByteLength: buffer.maxByteLength });
    new Uint8Array(made).set(new Uint8Array(buffer));
    return made;
  }

  interfaces({ Blob, File, FormData });
  return { Blob, File, FormData, structuredClone, parseForm, extract };
}
