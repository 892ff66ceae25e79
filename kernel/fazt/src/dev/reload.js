// Loads the page again when the site changes, and shows why it did not.
(() => {
  const loaded = "{loaded}";
  const source = new EventSource("/_dev/reload");
  let shown;
  const show = (text) => {
    shown?.remove();
    shown = undefined;
    if (!text) return;
    console.error("fazt app dev: " + text);
    shown = document.createElement("pre");
    shown.textContent = text;
    shown.style.cssText =
      "position:fixed;inset:auto 0 0 0;margin:0;padding:1em;max-height:50vh;overflow:auto;" +
      "white-space:pre-wrap;font:14px/1.4 monospace;color:#fff;background:#a00;z-index:2147483647";
    document.documentElement.append(shown);
  };
  source.onmessage = (event) => {
    const state = JSON.parse(event.data);
    if (state.deployment && state.deployment !== loaded) {
      source.close();
      location.reload();
      return;
    }
    show(state.problem);
    for (const warning of state.warnings) console.warn("fazt app dev: " + warning);
  };
  addEventListener("pagehide", () => source.close());
})();
