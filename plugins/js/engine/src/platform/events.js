// Event, EventTarget, AbortController (dom.spec.whatwg.org §2, §3).

class Event {
  #s;
  constructor(type, init = {}) {
    if (arguments.length === 0) throw new TypeError("Event needs a type");
    this.#s = {
      type: String(type), bubbles: !!init?.bubbles, cancelable: !!init?.cancelable, composed: !!init?.composed,
      target: null, current: null, phase: 0, stopped: false, halted: false, prevented: false, at: performance.now(),
    };
  }
  get type() { return this.#s.type; }
  get bubbles() { return this.#s.bubbles; }
  get cancelable() { return this.#s.cancelable; }
  get composed() { return this.#s.composed; }
  get target() { return this.#s.target; }
  get srcElement() { return this.#s.target; }
  get currentTarget() { return this.#s.current; }
  get eventPhase() { return this.#s.phase; }
  get defaultPrevented() { return this.#s.prevented; }
  get returnValue() { return !this.#s.prevented; }
  get cancelBubble() { return this.#s.stopped; }
  set cancelBubble(value) { if (value) this.#s.stopped = true; }
  get timeStamp() { return this.#s.at; }
  get isTrusted() { return false; }
  composedPath() { return this.#s.current ? [this.#s.current] : []; }
  preventDefault() { if (this.#s.cancelable) this.#s.prevented = true; }
  stopPropagation() { this.#s.stopped = true; }
  stopImmediatePropagation() { this.#s.stopped = this.#s.halted = true; }
  static NONE = 0;
  static CAPTURING_PHASE = 1;
  static AT_TARGET = 2;
  static BUBBLING_PHASE = 3;
  static { $.event = (event) => event.#s; }
}

class CustomEvent extends Event {
  #detail;
  constructor(type, init = {}) {
    super(type, init);
    this.#detail = init?.detail ?? null;
  }
  get detail() { return this.#detail; }
}

class EventTarget {
  #listeners = new Map();
  addEventListener(type, callback, options) {
    if (callback === null || callback === undefined) return;
    if (typeof callback !== "function" && typeof callback !== "object") {
      throw new TypeError("a listener is a function or an object with handleEvent");
    }
    const capture = typeof options === "boolean" ? options : !!options?.capture;
    const signal = options?.signal;
    if (signal?.aborted) return;
    type = String(type);
    let list = this.#listeners.get(type);
    if (!list) this.#listeners.set(type, list = []);
    if (list.some((known) => known.callback === callback && known.capture === capture)) return;
    list.push({ callback, capture, once: !!options?.once, removed: false });
    signal?.addEventListener("abort", () => this.removeEventListener(type, callback, capture), { once: true });
  }
  removeEventListener(type, callback, options) {
    const capture = typeof options === "boolean" ? options : !!options?.capture;
    const list = this.#listeners.get(String(type));
    const at = list?.findIndex((known) => known.callback === callback && known.capture === capture) ?? -1;
    if (at >= 0) list.splice(at, 1)[0].removed = true;
  }
  dispatchEvent(event) {
    if (!(event instanceof Event)) throw new TypeError("dispatchEvent needs an Event");
    const state = $.event(event);
    if (state.phase) throw new DOMException("The event is already being dispatched", "InvalidStateError");
    state.target = state.current = this;
    state.phase = 2;
    const list = [...(this.#listeners.get(state.type) ?? [])];
    for (const listener of list) {
      if (listener.removed) continue;
      if (listener.once) this.removeEventListener(state.type, listener.callback, listener.capture);
      try {
        if (typeof listener.callback === "function") listener.callback.call(this, event);
        else listener.callback.handleEvent(event);
      } catch (error) {
        $.report(error);
      }
      if (state.halted) break;
    }
    state.phase = 0;
    state.current = null;
    return !state.prevented;
  }
}

class AbortSignal extends EventTarget {
  #aborted = false;
  #reason;
  #followers = null;
  #handler;
  constructor(token) {
    if (token !== TOKEN) throw new TypeError("Illegal constructor");
    super();
  }
  get aborted() { return this.#aborted; }
  get onabort() { return this.#handler ?? null; }
  set onabort(handler) {
    // Its place among the listeners is that of the first one that was set.
    if (this.#handler === undefined) this.addEventListener("abort", (event) => this.#handler?.call(this, event));
    this.#handler = typeof handler === "function" ? handler : null;
  }
  get reason() { return this.#reason; }
  throwIfAborted() { if (this.#aborted) throw this.#reason; }
  static abort(reason) {
    const signal = new AbortSignal(TOKEN);
    signal.#aborted = true;
    signal.#reason = reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
    return signal;
  }
  static timeout(ms) {
    const signal = new AbortSignal(TOKEN);
    setTimeout(() => $.abort(signal, new DOMException("The operation was aborted due to timeout", "TimeoutError")), ms);
    return signal;
  }
  static any(signals) {
    const joined = new AbortSignal(TOKEN), list = [...signals];
    const first = list.find((signal) => signal.aborted);
    if (first) $.abort(joined, first.reason);
    else for (const signal of list) (signal.#followers ??= []).push(joined);
    return joined;
  }
  static {
    $.abort = (signal, reason) => {
      if (signal.#aborted) return;
      signal.#aborted = true;
      signal.#reason = reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
      const followers = signal.#followers ?? [];
      signal.#followers = null;
      signal.dispatchEvent(new Event("abort"));
      for (const follower of followers) $.abort(follower, signal.#reason);
    };
  }
}

class AbortController {
  #signal = new AbortSignal(TOKEN);
  get signal() { return this.#signal; }
  abort(reason) { $.abort(this.#signal, reason); }
}
