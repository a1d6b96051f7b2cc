import { expect, it } from "vitest";
import { largestPage } from "../build/ship.ts";

it("counts for the first paint what the largest page needs, each file once, and nothing that comes later", () => {
  const chunk = (imports: string[], dynamicImports: string[], isEntry = false) => ({
    imports,
    dynamicImports,
    isEntry,
  });
  const chunks = new Map([
    ["main", chunk(["shared"], ["run", "compare"], true)],
    ["shared", chunk([], [])],
    ["run", chunk(["shared", "picker"], ["devices"])],
    ["compare", chunk(["picker"], [])],
    ["picker", chunk([], [])],
    ["devices", chunk([], [])],
  ]);
  const sizes: Record<string, number> = {
    main: 50,
    shared: 20,
    run: 10,
    compare: 5,
    picker: 2,
    devices: 1000,
  };
  const size = (name: string): number => sizes[name] ?? Number.NaN;
  expect(largestPage(chunks, size)).toBe(82);
  chunks.delete("run");
  chunks.set("main", chunk(["shared"], [], true));
  expect(largestPage(chunks, size)).toBe(70);
});
