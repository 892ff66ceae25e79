// Records what Node answers: node record.mjs > recorded.txt

import { readFileSync } from "node:fs";
import { answers } from "./suite.mjs";

if (globalThis.self === undefined) globalThis.self = globalThis;
process.on("unhandledRejection", () => {});
const cases = readFileSync(new URL("cases.txt", import.meta.url), "utf8");
const list = await answers(cases);
process.stdout.write(list.map(([line, answer]) => `${line}\n  ${answer}\n`).join(""), () => process.exit(0));
