// @vitest-environment node
import { describe, expect, it } from "vitest";
import { pieces } from "../src/data/pieces.ts";
import { plan } from "../src/plot/plan.ts";
import { buckets, raw } from "./series.ts";

describe("pieces of a series whose x goes back", () => {
  it("are the series itself where it does not", () => {
    const whole = raw([0, 1], [1, 2]);
    expect(pieces(whole)).toEqual([whole]);
  });

  it("are cut where the number changes, raw points and what was smoothed alike", () => {
    const segment = Uint32Array.from([0, 0, 1, 1]);
    const found = pieces(
      raw([5, 6, 1, 7], [1, 2, 3, 4], { segment, smooth: Float64Array.from([1, 1, 3, 3]) }),
    );
    expect(found.map((one) => one.kind === "raw" && [...one.x])).toEqual([
      [5, 6],
      [1, 7],
    ]);
    expect(found.map((one) => one.kind === "raw" && [...(one.smooth ?? [])])).toEqual([
      [1, 1],
      [3, 3],
    ]);
  });

  it("keep the buckets of each", () => {
    const whole = buckets(1, [1, 2, 3]);
    const segment = { base: 0, values: Uint32Array.from([0, 1, 1]) };
    const found = pieces({
      ...whole,
      idx: Uint32Array.from([2, 0, 1]),
      columns: { ...whole.columns, segment },
    });
    expect(found.map((one) => one.kind === "buckets" && [...(one.idx ?? [])])).toEqual([[2], [0, 1]]);
    expect(found.map((one) => one.kind === "buckets" && [...(one.columns.mean?.values ?? [])])).toEqual([
      [1],
      [2, 3],
    ]);
  });

  it("are drawn as lines of their own: no zig-zag", () => {
    const segment = Uint32Array.from([0, 0, 0, 1, 1]);
    const { lines } = plan([raw([5, 6, 7, 1, 7.5], [1, 2, 3, 4, 5], { segment })], "step");
    expect(lines).toHaveLength(2);
    for (const line of lines) expect([...line.x]).toEqual([...line.x].sort((a, b) => a - b));
  });
});
