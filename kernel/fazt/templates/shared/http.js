// What every route needs: JSON answers, refusals, bodies, and a table of routes.

/** Why a request is refused. Throw it anywhere below a route. */
export class Refusal extends Error {
  constructor(status, code, message, headers = {}) {
    super(message);
    Object.assign(this, { status, code, headers });
  }
}

/** An answer in JSON. */
export const json = (data, status = 200, headers = {}) => Response.json(data, { status, headers });

/** The object that the client sent. */
export async function readJson(request) {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\b/i.test(type)) {
    throw new Refusal(415, "JSON_EXPECTED", "send JSON with content-type: application/json");
  }
  const body = await request.json().catch(() => {
    throw new Refusal(400, "BAD_JSON", "the body is not JSON");
  });
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Refusal(400, "BAD_JSON", "the body is not a JSON object");
  }
  return body;
}

/** The text of a field: trimmed, not empty, and not longer than `max`. */
export function text(value, field, max) {
  const trimmed = typeof value === "string" ? value.trim() : "";
  if (trimmed === "" || trimmed.length > max) {
    throw new Refusal(400, "BAD_FIELD", `${field} is a text of 1 to ${max} characters`);
  }
  return trimmed;
}

/**
 * What answers requests, out of a table: `{ "GET /api/notes/:key": ({ params, request, url, env }) => … }`.
 * The rest is answered with 404, another method with 405, and a refusal as it says.
 */
export function routes(table) {
  const known = Object.entries(table).map(([route, handler]) => {
    const [method, path] = route.split(" ");
    return { method, parts: path.split("/"), handler };
  });

  async function answer(request, env, ctx) {
    const url = new URL(request.url);
    const parts = url.pathname.replace(/\/$/, "").split("/");
    const method = request.method === "HEAD" ? "GET" : request.method;
    const allowed = [];
    for (const route of known) {
      const params = matched(route.parts, parts);
      if (params === undefined) continue;
      if (route.method === method) return route.handler({ request, env, ctx, url, params });
      allowed.push(route.method);
    }
    if (allowed.length > 0) {
      const allow = allowed.join(", ");
      throw new Refusal(405, "METHOD_NOT_ALLOWED", `this address takes ${allow}`, { allow });
    }
    throw new Refusal(404, "NOT_FOUND", `there is nothing at ${url.pathname}`);
  }

  return {
    async fetch(request, env, ctx) {
      try {
        return await answer(request, env, ctx);
      } catch (error) {
        const { code, message, headers } = error;
        // What storage calls invalid came from the client: a cursor or an id that never was one.
        const status = error instanceof Refusal ? error.status : error.kind === "invalid" ? 400 : 500;
        // The rest is a defect: fazt answers for us, and `fazt app logs` has the stack.
        if (status === 500) throw error;
        return json({ error: { code, message } }, status, headers);
      }
    },
  };
}

/** The values of the `:names` in a path, when it fits. */
function matched(wanted, given) {
  if (wanted.length !== given.length) return undefined;
  const params = {};
  for (const [index, part] of wanted.entries()) {
    if (part.startsWith(":")) params[part.slice(1)] = decoded(given[index]);
    else if (part !== given[index]) return undefined;
  }
  return params;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Refusal(400, "BAD_ADDRESS", "the address has a % that encodes nothing");
  }
}
