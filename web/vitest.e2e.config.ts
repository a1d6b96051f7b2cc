import { defineConfig } from "vitest/config";

/** Real server, real Chromium: one file at a time, because two cores carry all of it. */
export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    environment: "node",
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
