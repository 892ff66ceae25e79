// The classes that a module sees from the start, and a classic script when it names one.

const classes = {
  Event, CustomEvent, EventTarget, AbortSignal, AbortController, Headers, URL, URLSearchParams, Request, Response,
  TextEncoder, TextDecoder,
};
tagged(classes);
$.classes = classes;
return { globals: { ...classes, fetch }, doors: { begin, credit, chunk, cancel, forget, beginWork }, syncFetch, send };
