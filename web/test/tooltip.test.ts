import { describe, expect, it } from "vitest";
import { plan } from "../src/plot/plan.ts";
import { type Hover, hits } from "../src/plot/tooltip.ts";
import { raw } from "./series.ts";

const lines = plan(
  Array.from({ length: 20 }, (_, i) => raw([0, 10], [i, i], { run: `r${i}` })),
  "step",
);

function hover(more: Partial<Hover>): Hover {
  return {
    plan: lines,
    x: 9,
    kind: "step",
    toLeft: (x) => x,
    // Value 0 is at the bottom, 200 px below the top.
    toTop: (y) => 200 - 10 * y,
    pointerTop: 100,
    y: 10,
    colours: [],
    words: true,
    nameOf: (line) => line.run,
    always: () => false,
    ...more,
  };
}

const runs = (h: Hover): string[] => hits(h).shown.map((hit) => hit.line.run);

describe("tooltip", () => {
  it("lists the eight lines nearest to the pointer, sorted by value, and counts the rest", () => {
    const pointer = { pointerTop: 95 };
    expect(runs(hover(pointer))).toEqual(["r14", "r13", "r12", "r11", "r10", "r9", "r8", "r7"]);
    expect(hits(hover(pointer)).more).toBe(12);
  });

  it("always lists the lines that were asked for, however far they are", () => {
    const found = runs(hover({ always: (line) => line.run === "r0" || line.run === "r19" }));
    expect(found).toHaveLength(8);
    expect([found[0], found.at(-1)]).toEqual(["r19", "r0"]);
  });

  it("tells the logged point, not a place between two", () => {
    const [hit] = hits(hover({ x: 6.2 })).shown;
    expect([hit?.x, hit?.exact]).toEqual([10, true]);
  });
});
