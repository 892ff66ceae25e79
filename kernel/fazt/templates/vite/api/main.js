// Server code: answers /api and all below. `fazt app logs {{name}} -f` shows what it logs.

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname !== "/api/visits") {
      return Response.json({ error: { code: "NOT_FOUND", message: `there is nothing at ${pathname}` } }, { status: 404 });
    }
    const visits =
      request.method === "POST" ? await fazt.app.kv.incr("visits") : ((await fazt.app.kv.get("visits")) ?? 0);
    return Response.json({ visits });
  },
};
