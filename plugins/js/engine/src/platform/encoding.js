// TextEncoder and TextDecoder (encoding.spec.whatwg.org).

class TextEncoder {
  get encoding() { return "utf-8"; }
  encode(text = "") { return native.encode(String(text)); }
  encodeInto(text, target) {
    need(arguments, 2);
    if (!(target instanceof Uint8Array)) throw new TypeError("encodeInto needs a Uint8Array");
    let read = 0, written = 0;
    for (const character of scalar(text)) {
      const point = character.codePointAt(0), size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
      if (written + size > target.length) break;
      if (size === 1) target[written] = point;
      else {
        const start = [0, 0, 0xc0, 0xe0, 0xf0][size];
        target[written] = start | (point >> (6 * (size - 1)));
        for (let i = 1; i < size; i++) target[written + i] = 0x80 | ((point >> (6 * (size - 1 - i))) & 0x3f);
      }
      written += size;
      read += character.length;
    }
    return { read, written };
  }
}

const ENCODINGS = {
  "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
  "utf-16le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
  "utf-16be": "unicodefffe utf-16be",
  "windows-1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252",
};

class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  #kept = null;
  #begun = false;
  constructor(label = "utf-8", options = {}) {
    label = String(label).replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "").toLowerCase();
    this.#encoding = label === "utf-8" ? label : Object.keys(ENCODINGS).find((name) => ENCODINGS[name].split(" ").includes(label));
    if (this.#encoding === undefined) {
      const error = new RangeError(`The "${label}" encoding is not supported`);
      error.code = "ERR_ENCODING_NOT_SUPPORTED";
      throw error;
    }
    this.#fatal = !!options?.fatal;
    this.#ignoreBOM = !!options?.ignoreBOM;
  }
  get encoding() { return this.#encoding; }
  get fatal() { return this.#fatal; }
  get ignoreBOM() { return this.#ignoreBOM; }
  decode(input, options) {
    let bytes = input === undefined ? new Uint8Array(0) : bytesOf(input);
    if (bytes === undefined) throw new TypeError("decode needs a buffer or a view of one");
    const stream = !!options?.stream;
    if (this.#kept) {
      const joined = new Uint8Array(this.#kept.length + bytes.length);
      joined.set(this.#kept);
      joined.set(bytes, this.#kept.length);
      bytes = joined;
      this.#kept = null;
    }
    // 0: keep a mark at the beginning, 1: drop it.
    const answer = native.decode(this.#encoding, bytes, this.#fatal, !this.#ignoreBOM && !this.#begun, stream);
    if (answer === null) {
      this.#begun = false;
      const error = new TypeError("The encoded data was not valid for encoding " + this.#encoding);
      error.code = "ERR_ENCODING_INVALID_ENCODED_DATA";
      throw error;
    }
    if (typeof answer === "string") {
      this.#begun = stream && (this.#begun || bytes.length > 0);
      return answer;
    }
    // Cut in the middle of a character: [text, how many bytes were used].
    this.#kept = bytes.slice(answer[1]);
    this.#begun = this.#begun || answer[1] > 0;
    return answer[0];
  }
}
