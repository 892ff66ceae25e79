// Runs once in each realm, with `fazt` in scope. What it wraps is made when a script first asks for it, and
// only then is there anything to do here. A function answers a promise or, where a script waits for it, the
// value itself: `after` takes both.
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
  const shape = (scope) => {
    wrap(scope.kv, "get", present);
    wrap(scope.kv, "getMany", (values) => values.map(present));
    wrap(scope.kv, "list", list);
    wrap(scope.kv, "set", () => undefined);
    wrap(scope.ds, "find", list);
    wrap(scope.ds, "index", () => undefined);
    wrap(scope.s3, "list", list);
    scope.blobs = scope.s3;
  };

  // A transaction: `fn` reads and says what to write; everything is written if nothing that it read was
  // changed meanwhile. Otherwise `fn` runs again, five times at most.
  const copy = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));
  const isPromise = (value) =>
    value !== null && typeof value === "object" && typeof value.then === "function";
  const refuse = (message) => {
    const error = new Error(message);
    error.code = "TX_READ_AFTER_WRITE";
    throw error;
  };
  const view = (read, user, checks, writes) => {
    const values = new Map();
    const collections = new Set();
    const asked = (kind, what, shape) =>
      after(read({ [kind]: { ...what, user } }), (answer) => {
        checks.push(answer.check);
        return shape(answer.value);
      });
    const fresh = (collection) => {
      if (collections.has(collection)) {
        refuse(`a transaction reads the collection ${collection} before it writes to it`);
      }
    };
    const write = (collection, kind, what) => {
      collections.add(collection);
      writes.push({ [kind]: { ...what, user, collection } });
    };
    const one = (collection, query) => {
      fresh(collection);
      return typeof query === "string"
        ? asked("document", { collection, id: query }, (value) => value)
        : asked("find", { collection, query: query ?? {}, options: { limit: 1 } }, (found) =>
            found.length > 0 ? found[0] : null);
    };
    const kv = {
      get: (key) =>
        values.has(key) ? copy(values.get(key)) : asked("get", { key: String(key) }, present),
      has: (key) => after(kv.get(key), (value) => value !== undefined),
      set: (key, value, ttlMs) => {
        if (value === undefined) throw new TypeError("kv.set requires key and value");
        values.set(String(key), copy(value) ?? undefined);
        writes.push({ set: { user, key: String(key), value, ttlMs: ttlMs ?? null } });
      },
      delete: (key) => {
        values.set(String(key), undefined);
        writes.push({ unset: { user, key: String(key) } });
      },
      incr: (key, by = 1) =>
        after(kv.get(key), (value) => {
          const sum = (value ?? 0) + by;
          if (!Number.isSafeInteger(sum)) throw new TypeError(`what is under ${key} is no integer`);
          kv.set(key, sum);
          return sum;
        }),
      list: (prefix = "") => {
        if (values.size > 0) refuse("a transaction lists keys before it writes to any");
        return asked("list", { prefix }, (entries) => entries);
      },
    };
    const ds = {
      get: (collection, id) => one(collection, String(id)),
      findOne: one,
      find: (collection, query, options) => {
        fresh(collection);
        return asked("find", { collection, query: query ?? {}, options: options ?? null }, (found) => found);
      },
      count: (collection, query) => {
        fresh(collection);
        return asked("count", { collection, query: query ?? {} }, (count) => count);
      },
      insert: (collection, document) => write(collection, "insert", { document }),
      update: (collection, query, changes) => write(collection, "update", { query, changes }),
      delete: (collection, query) => write(collection, "delete", { query }),
    };
    return { kv, ds };
  };
  const transaction = ({ read, commit }) => (fn) => {
    const attempt = (left) => {
      const checks = [];
      const writes = [];
      const tx = view(read, false, checks, writes);
      tx.user = view(read, true, checks, writes);
      const again = (error) => {
        if (error?.code === "TX_CONFLICT" && left > 1) return attempt(left - 1);
        throw error;
      };
      return after(fn(tx), (result) => {
        let done;
        try {
          done = commit(checks, writes);
        } catch (error) {
          return again(error);
        }
        return isPromise(done) ? done.then(() => result, again) : result;
      });
    };
    return attempt(5);
  };

  const complete = (app) => {
    shape(app);
    shape(app.user);
    app.tx = transaction(app.tx);
  };

  /** Calls `made` with what is below `name`, when it is there. */
  const whenMade = (owner, name, made) => {
    const { get } = Object.getOwnPropertyDescriptor(owner, name);
    if (get === undefined) return made(owner[name]);
    const first = () => {
      // From now on it is a value.
      const value = get.call(owner);
      made(value);
      return value;
    };
    Object.defineProperty(owner, name, { get: first });
  };
  const install = (owner) => {
    whenMade(owner, "app", complete);
    // The name of version 0.4 to 0.29 of the predecessor.
    Object.defineProperty(owner, "storage", {
      configurable: true,
      enumerable: true,
      get() {
        const { kv, ds, s3 } = owner.app;
        const value = { kv, ds, s3 };
        Object.defineProperty(owner, "storage", { value, writable: true });
        return value;
      },
    });
  };
  install(fazt);
  whenMade(fazt, "sync", install);
}
