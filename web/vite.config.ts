import { fileURLToPath } from "node:url";
import preact from "@preact/preset-vite";
import { defineConfig } from "vite";
import { ship } from "./build/ship.ts";

/** Where `npm run dev` finds a running server; its token goes in with BUOY_API_KEY. */
const server = process.env.BUOY_BASE_URL ?? "http://127.0.0.1:8765";
const token = process.env.BUOY_API_KEY;

export default defineConfig({
  // Every asset address is relative, so that the same files work under any base path.
  base: "./",
  plugins: [
    preact({ devToolsEnabled: false, prefreshEnabled: false, reactAliasesEnabled: false }),
    // Faces for other scripts load only when a page has their letters.
    ship((name) => !name.includes("latin-ext")),
  ],
  build: {
    outDir: fileURLToPath(new URL("../server/buoy_server/static", import.meta.url)),
    emptyOutDir: true,
    manifest: true,
    target: "es2022",
    assetsInlineLimit: 0,
    // One style sheet and few scripts: a request before the first chart costs more than what a page does not use.
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: {
      "/api": {
        target: server,
        ...(token === undefined ? {} : { headers: { Authorization: `Bearer ${token}` } }),
      },
    },
  },
});
