// What every realm has, and the door through which the engine comes in.

/** Sets a realm up; the first thing that runs in it. */
export function init(door, settings) {
  native = door;
  config = settings;
  // The modules `fazt:NAME` ask here.
  Object.defineProperty(globalThis, Symbol.for("fazt.library"), { value: (name) => $.libraries().get(name) });
  expose({ console, setTimeout, setInterval, clearTimeout, clearInterval: clearTimeout, self: globalThis });
  expose({
    setImmediate: (callback, ...args) => setTimeout(callback, 0, ...args),
    clearImmediate: clearTimeout,
    reportError: $.report,
    navigator: Object.freeze({ userAgent: "fazt/" + config.version, language: "en-US", hardwareConcurrency: 1 }),
  });
  $.kit = {
    TOKEN, S, need, scalar, bytesOf, expose, interfaces, tagged, joined, native, config, inspect, describe, encodeValue,
    headerName, headerValue, stringify, parse, PromiseResolve, indexOf, callSync, forgetTimers, fail, outcome, makeJob,
  };
  const part = (name) => {
    let made;
    return () => made ??= native.part(name)($, native, config);
  };
  const web = $.web = part("web");
  const parts = $.parts = part("parts"), streams = $.streams = part("streams"), crypto = $.crypto = part("crypto");
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
  const doors = { settle, refuse, fire };
  if (!config.classic) {
    expose(web().globals);
    return Object.assign(doors, web().doors);
  }
  // A classic script has a realm of its own, which is made for it: what it does not name is not there.
  exposeLazily(WEB, () => web().globals);
  for (const name of ["credit", "chunk", "cancel", "forget"]) doors[name] = (...args) => $.classes && web().doors[name](...args);
  return Object.assign(doors, native.part("classic")($, native, config));
}
const WEB = [
  "Event", "CustomEvent", "EventTarget", "AbortSignal", "AbortController", "Headers", "URL", "URLSearchParams",
  "Request", "Response", "TextEncoder", "TextDecoder", "fetch",
];
