import { defineConfig } from "vitest/config";

/** Real server, real Chromium: two files at a time, because two cores carry all of it and much of it is waiting. */
export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    environment: "node",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
