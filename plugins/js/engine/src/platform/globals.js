// What every realm has, and the door through which the engine comes in.

/** Sets a realm up; the first thing that runs in it. */
export function init(door, settings) {
  native = door;
  config = settings;
  // The modules `fazt:NAME` ask here.
  Object.defineProperty(globalThis, Symbol.for("fazt.library"), { value: (name) => $.libraries().get(name) });
  interfaces({ Event, CustomEvent, EventTarget, AbortSignal, AbortController, Headers, URL, URLSearchParams, Request, Response, TextEncoder, TextDecoder });
  expose({ console, fetch, setTimeout, setInterval, clearTimeout, clearInterval: clearTimeout, self: globalThis });
  expose({
    setImmediate: (callback, ...args) => setTimeout(callback, 0, ...args),
    clearImmediate: clearTimeout,
    reportError: $.report,
    navigator: Object.freeze({ userAgent: "fazt/" + config.version, language: "en-US", hardwareConcurrency: 1 }),
  });
  $.kit = { TOKEN, S, need, scalar, bytesOf, expose, interfaces, joined, native, config, inspect, describe, encodeValue };
  const part = (name) => {
    let made;
    return () => made ??= native.part(name)($, native, config);
  };
  const parts = $.parts = part("parts"), streams = $.streams = part("streams"), crypto = part("crypto");
  $.libraries = part("libraries");
  exposeLazily(["Blob", "File", "FormData", "structuredClone"], parts);
  exposeLazily([
    "ReadableStream", "ReadableStreamDefaultReader", "ReadableStreamBYOBReader", "ReadableStreamDefaultController",
    "ReadableByteStreamController", "ReadableStreamBYOBRequest", "WritableStream", "WritableStreamDefaultWriter",
    "WritableStreamDefaultController", "TransformStream", "TransformStreamDefaultController",
    "ByteLengthQueuingStrategy", "CountQueuingStrategy", "TextEncoderStream", "TextDecoderStream",
  ], streams);
  exposeLazily(["crypto", "Crypto", "CryptoKey", "SubtleCrypto"], crypto);
  exposeLazily(["URLPattern"], part("urlpattern"));
  $.extractLazily = (state, body) => {
    // Only what was made can be given: a realm without streams has no stream.
    const tag = body?.[Symbol.toStringTag];
    if (tag === "Blob" || tag === "File" || tag === "FormData") return parts().extract(state, body);
    if (tag === "ReadableStream") {
      if (body.locked || body._disturbed) throw new TypeError("Response body object should not be disturbed or locked");
      state.body = body;
      return true;
    }
    return false;
  };
  $.streamOf = (body, id) => streams().streamOf(body, id);
  $.readAll = (stream) => streams().readAll(stream);
  makeFazt(config.blocking);
  const doors = { begin, settle, refuse, fire, credit, chunk, cancel, forget, beginWork };
  if (config.classic) Object.assign(doors, native.part("classic")($, native, config));
  return doors;
}
