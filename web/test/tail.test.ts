// @vitest-environment node
import { describe, expect, it } from "vitest";
import type { Series } from "../src/data/frames.ts";
import { withTail } from "../src/data/tail.ts";
import { buckets, raw } from "./series.ts";

type Buckets = Extract<Series, { kind: "buckets" }>;

describe("the rest of a series", () => {
  it("takes the place of raw points from its first x on", () => {
    const held = raw([0, 1, 2], [1, 2, 3]);
    const whole = withTail(held, raw([2, 3], [9, 4], { tail: true, nTotal: 4 }));
    expect(whole).toMatchObject({ kind: "raw", tail: false, nTotal: 4 });
    expect(whole?.kind === "raw" && [...whole.x]).toEqual([0, 1, 2, 3]);
    expect(whole?.kind === "raw" && [...whole.y]).toEqual([1, 2, 9, 4]);
  });

  it("joins what was smoothed, and keeps the state of the left edge", () => {
    const held = raw([0, 1], [1, 2], { smooth: Float64Array.from([1, 1.5]), smoothState: [3, 4] });
    const tail = raw([1, 2], [2, 3], {
      smooth: Float64Array.from([1.5, 2]),
      smoothState: [5, 6],
      tail: true,
    });
    const whole = withTail(held, tail);
    expect(whole?.kind === "raw" && [...(whole.smooth ?? [])]).toEqual([1, 1.5, 2]);
    expect(whole?.smoothState).toEqual([3, 4]);
    expect(withTail(raw([0], [1]), tail)).toBeNull();
  });

  it("takes the place of buckets from its first one on, whatever their precision", () => {
    const held: Buckets = buckets(2, [1, 2, 3], { first: -1 });
    const sparse = { base: 10, values: Float32Array.from([-1, 1]) };
    const tail: Buckets = buckets(2, [5, 7], { first: 1, idx: Uint32Array.from([0, 4]), tail: true });
    const whole = withTail(held, { ...tail, columns: { ...tail.columns, mean: sparse } });
    if (whole?.kind !== "buckets") throw new Error(String(whole?.kind));
    expect([whole.first, whole.rows, [...(whole.idx ?? [])]]).toEqual([-1, 4, [0, 1, 2, 6]]);
    expect([...(whole.columns.mean?.values ?? [])]).toEqual([1, 2, 9, 11]);
    expect([...(whole.columns.max?.values ?? [])]).toEqual([1, 2, 5, 7]);
  });

  it("is refused where it does not fit", () => {
    const tail = raw([2], [3], { tail: true });
    expect(withTail(raw([0], [1], { gen: 7 }), tail)).toBeNull();
    expect(withTail(buckets(1, [1]), tail)).toBeNull();
    expect(withTail(buckets(1, [1]), buckets(2, [1], { tail: true }))).toBeNull();
    expect(withTail(raw([0], [1]), raw([5], [6]))).toMatchObject({ lastX: 5 });
  });
});
