// Runs once in each realm, with `fazt` in scope, after the functions that it wraps are there. A
// function answers a promise or, where a script runs synchronously, the value itself: `after` takes both.
{
  const after = (answer, shape) =>
    answer !== null && typeof answer === "object" && typeof answer.then === "function"
      ? answer.then(shape)
      : shape(answer);
  // What is not there is undefined, as everywhere in JavaScript.
  const present = (value) => (value === null ? undefined : value);
  // A page is a list; where the next one starts is beside its items.
  const list = (page) =>
    Object.defineProperty(page.items, "cursor", { value: page.cursor ?? undefined });
  const wrap = (owner, name, shape) => {
    const plain = owner[name];
    owner[name] = (...given) => after(plain.apply(owner, given), shape);
  };
  for (const scope of [fazt.app, fazt.app.user]) {
    wrap(scope.kv, "get", present);
    wrap(scope.kv, "getMany", (values) => values.map(present));
    wrap(scope.kv, "list", list);
    wrap(scope.kv, "set", () => undefined);
    wrap(scope.ds, "find", list);
    wrap(scope.ds, "index", () => undefined);
  }
  // The name of version 0.4 to 0.29 of the predecessor.
  fazt.storage = { kv: fazt.app.kv, ds: fazt.app.ds };
}
