import { AutoRouter, error, json, withContent } from "itty-router";

const router = AutoRouter({ base: "/api" });
router
  .get("/todos/:id", ({ params, query }) => ({ id: params.id, q: query.q }))
  .post("/todos", withContent, ({ content }) => json(content, { status: 201 }))
  .get("/error", () => error(400, "bad"))
  .get("/throws", () => { throw new Error("thrown"); })
  .all("*", () => error(404));
export default router;
