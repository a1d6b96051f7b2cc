import { defineConfig } from "vitest/config";

/** The pictures of the documents: made on request, not part of the tests. */
export default defineConfig({
  test: {
    include: ["pictures/**/*.test.ts"],
    environment: "node",
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 240_000,
  },
});
