import { defineConfig } from "vitest/config";

/** Budgets of the dashboard, measured in Chromium: one thing at a time, and everything is printed by bench/report.ts. */
export default defineConfig({
  test: {
    include: ["bench/**/*.test.ts"],
    environment: "node",
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 1_200_000,
    globalSetup: ["bench/report.ts"],
    reporters: ["dot"],
  },
});
