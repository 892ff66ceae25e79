// What a request, a job or an event came to, where it is no response.

function fail(id, error, code = "FUNCTION_ERROR") {
  let head, stack = "";
  if (error !== null && typeof error === "object" && typeof error.message === "string") {
    head = `${error.name ?? "Error"}: ${error.message}`;
    stack = typeof error.stack === "string" ? error.stack : "";
    for (let cause = error.cause, depth = 0; cause !== undefined && depth < 4; cause = cause?.cause, depth++) {
      stack += "\nCaused by " + (cause instanceof Error ? `${cause.name}: ${cause.message}\n${cause.stack ?? ""}` : inspect(cause));
    }
  } else if (error === null) head = "null was thrown: by the script, or because its memory (js.memory_bytes) is used up";
  else head = "Uncaught " + inspect(error);
  native.fail(id, code, head, stack);
}

function outcome(id, value) { native.outcome(id, value === undefined ? "" : encodeValue(value)); }

/** `job` as handlers see it. */
function makeJob(text) {
  const job = parse(text);
  for (const name of indexOf.keys()) {
    if (!name.startsWith("job.")) continue;
    const method = name.slice(4), index = indexOf.get(name);
    if (method === "cancelled") Object.defineProperty(job, method, { enumerable: true, get: () => callSync(index, [job.id]) });
    else job[method] = (...args) => callSync(index, [job.id, ...args]);
  }
  return job;
}
