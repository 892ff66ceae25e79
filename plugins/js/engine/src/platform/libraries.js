// The standard library: each package is evaluated once in a realm, when first asked for.

export function init($, native) {
  const loaded = new Map();
  return {
    has: (name) => native.hasLibrary(name),
    get(name) {
      let module = loaded.get(name);
      if (module === undefined) {
        module = { exports: {} };
        native.library(name)(module, module.exports, (id) => {
          throw new Error(`cannot require '${id}' in ${name}`);
        });
        loaded.set(name, module);
      }
      return module.exports;
    },
  };
}
