// What an expression comes to, as one line of text, the same way in every engine.

const AsyncFunction = (async () => {}).constructor;

function shown(value, seen = []) {
  if (value === undefined) return "undefined";
  if (value === null) return "null";
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value === "bigint") return value + "n";
  if (typeof value === "string") return JSON.stringify(value.toWellFormed?.() ?? value);
  if (typeof value === "symbol") return "symbol";
  if (typeof value === "function") return "function";
  if (typeof value === "boolean") return String(value);
  if (seen.includes(value)) return "circular";
  const deeper = [...seen, value];
  if (value instanceof Error) {
    const cause = "cause" in value ? ` cause ${shown(value.cause, deeper)}` : "";
    return `${value.name}(${JSON.stringify(value.message)})${cause}`;
  }
  if (value instanceof Date) return `Date(${value.getTime()})`;
  if (value instanceof RegExp) return String(value);
  if (value instanceof ArrayBuffer) return `ArrayBuffer[${new Uint8Array(value)}]`;
  if (value instanceof DataView) return `DataView(${value.byteOffset}, ${value.byteLength})`;
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}[${Array.from(value).join()}]`;
  if (value instanceof Map) return `Map{${[...value].map(([k, v]) => `${shown(k, deeper)}=>${shown(v, deeper)}`)}}`;
  if (value instanceof Set) return `Set{${[...value].map((v) => shown(v, deeper))}}`;
  if (Array.isArray(value)) {
    const extra = Object.keys(value).filter((key) => !/^\d+$/.test(key)).map((key) => `${key}:${shown(value[key], deeper)}`);
    return `[${[...Array.from(value, (item, i) => (i in value ? shown(item, deeper) : "hole")), ...extra].join(", ")}]`;
  }
  const wrapped = value.valueOf?.();
  if (wrapped !== value && typeof wrapped !== "object") return `Object(${shown(wrapped)})`;
  const name = value.constructor?.name;
  const fields = Object.keys(value).map((key) => `${key}: ${shown(value[key], deeper)}`).join(", ");
  return `${name === "Object" || name === undefined ? "" : name}{${fields}}`;
}

const NEVER = Symbol("never");

/** Answers for each line of `cases`. Of what is thrown, the name counts: messages are free. */
export async function answers(cases) {
  const list = [];
  for (const line of cases.split("\n")) {
    if (line === "" || line.startsWith("# ")) continue;
    let answer;
    try {
      let late;
      const never = new Promise((resolve) => { late = setTimeout(resolve, 500, NEVER); });
      const value = await Promise.race([new AsyncFunction(`return (${line});`)(), never]);
      clearTimeout(late);
      answer = value === NEVER ? "never settles" : shown(value);
    } catch (error) {
      answer = `throws ${error?.name}`;
    }
    list.push([line, answer]);
  }
  return list;
}
