// The stream classes (from the vendored polyfill) and what joins them to bodies.

import * as polyfill from "fazt:vendor/streams";

export function init($, native) {
  const { bytesOf, joined, interfaces } = $.kit;
  const { ReadableStream, TransformStream } = polyfill;
  const classes = {};
  for (const name of Object.keys(polyfill)) if (typeof polyfill[name] === "function") classes[name] = polyfill[name];

  class TextEncoderStream {
    #pair;
    constructor() {
      // A surrogate may be cut off from its other half between two chunks.
      let high = "";
      this.#pair = new TransformStream({
        transform(chunk, controller) {
          let text = high + String(chunk);
          high = "";
          const last = text.charCodeAt(text.length - 1);
          if (last >= 0xd800 && last <= 0xdbff) {
            high = text.slice(-1);
            text = text.slice(0, -1);
          }
          if (text) controller.enqueue(native.encode(text));
        },
        flush(controller) { if (high) controller.enqueue(native.encode("\ufffd")); },
      });
    }
    get encoding() { return "utf-8"; }
    get readable() { return this.#pair.readable; }
    get writable() { return this.#pair.writable; }
  }
  class TextDecoderStream {
    #pair;
    #decoder;
    constructor(label, options) {
      const decoder = this.#decoder = new TextDecoder(label, options);
      this.#pair = new TransformStream({
        transform(chunk, controller) {
          const text = decoder.decode(chunk, { stream: true });
          if (text) controller.enqueue(text);
        },
        flush(controller) {
          const text = decoder.decode();
          if (text) controller.enqueue(text);
        },
      });
    }
    get encoding() { return this.#decoder.encoding; }
    get fatal() { return this.#decoder.fatal; }
    get ignoreBOM() { return this.#decoder.ignoreBOM; }
    get readable() { return this.#pair.readable; }
    get writable() { return this.#pair.writable; }
  }
  Object.assign(classes, { TextEncoderStream, TextDecoderStream });
  interfaces(classes);

  /** A stream of text, of bytes, or of the body of the request `id`. */
  function streamOf(body, id) {
    if (typeof body === "string" || body instanceof Uint8Array) {
      const bytes = typeof body === "string" ? native.encode(body) : body;
      return new ReadableStream({
        type: "bytes",
        start(controller) {
          if (bytes.length) controller.enqueue(bytes.slice());
          controller.close();
        },
      });
    }
    return new ReadableStream({
      type: "bytes",
      async pull(controller) {
        const bytes = await $.nextChunk(id);
        if (bytes === undefined) {
          controller.close();
          controller.byobRequest?.respond(0);
        } else controller.enqueue(bytes);
      },
    });
  }

  async function readAll(stream) {
    const reader = stream.getReader(), chunks = [];
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return joined(chunks);
      const bytes = bytesOf(value);
      if (bytes === undefined) throw new TypeError("Received non-Uint8Array chunk");
      chunks.push(bytes.slice());
    }
  }
  return { ...classes, streamOf, readAll };
}
