// Runs once in each realm, with `fazt` in scope. What it wraps is made when a script first asks for it. A
// function answers a promise or, where a script waits for it, the value itself.
{
  const present = (value) => (value === null ? undefined : value);
  const shape = (files) => {
    for (const name of ["read", "readBytes"]) {
      const plain = files[name];
      files[name] = (path) => {
        const answer = plain(path);
        return typeof answer?.then === "function" ? answer.then(present) : present(answer);
      };
    }
  };

  /** Calls `made` with what is below `name`, when it is there. */
  const whenMade = (owner, name, made) => {
    const { get } = Object.getOwnPropertyDescriptor(owner, name);
    if (get === undefined) return made(owner[name]);
    const first = () => {
      const value = get.call(owner);
      made(value);
      return value;
    };
    Object.defineProperty(owner, name, { get: first });
  };
  whenMade(fazt, "private", shape);
  whenMade(fazt, "sync", (sync) => whenMade(sync, "private", shape));
}
