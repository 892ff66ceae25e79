import { cpSync } from "node:fs";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

/** Server code is not bundled: it goes into the deploy as it is. */
const serverCode = () => ({
  name: "server-code",
  apply: "build",
  closeBundle: () => cpSync("api", "dist/api", { recursive: true }),
});

export default defineConfig({
  plugins: [vue(), serverCode()],
  // While you write, the page is vite's and the API is that of the app that is deployed.
  server: { proxy: { "/api": { target: "http://{{name}}.localhost:8080", changeOrigin: true } } },
});
