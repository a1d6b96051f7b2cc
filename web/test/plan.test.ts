import { describe, expect, it } from "vitest";
import { lowerBound, nearest, yExtent } from "../src/plot/extent.ts";
import { bucketMiddle, plan } from "../src/plot/plan.ts";
import { logTicks } from "../src/plot/scale.ts";
import { buckets, raw } from "./series.ts";

const LINEAR = { scale: "linear", robust: false } as const;
const LOG = { scale: "log", robust: false } as const;

const line = (series: Parameters<typeof plan>[0][number]) => {
  const made = plan([series], "step").lines[0];
  if (made === undefined) throw new Error("no line");
  return made;
};

describe("plan", () => {
  it("draws raw points at their values, joined", () => {
    const made = line(raw([0, 1, 2], [3, 1, 2]));
    expect([...made.x]).toEqual([0, 1, 2]);
    expect([...made.y]).toEqual([3, 1, 2]);
    expect([...made.joined]).toEqual([0, 1, 1]);
    expect(made.last).toEqual({ x: 2, y: 2 });
  });

  it("leaves NaN and infinities out as gaps, and counts them", () => {
    const made = plan([raw([0, 1, 2, 3, 4], [1, Number.NaN, 2, Number.POSITIVE_INFINITY, 3])], "step");
    expect([...(made.lines[0]?.y ?? [])]).toEqual([1, 2, 3]);
    expect([...(made.lines[0]?.joined ?? [])]).toEqual([0, 0, 0]);
    expect(made).toMatchObject({ nonFinite: 2, nonFiniteExact: true });
  });

  it("has no last point to draw when the newest value is NaN", () => {
    expect(line(raw([0, 1], [1, Number.NaN])).last).toBeNull();
  });

  it("lifts the pen where x jumps more than eight median steps", () => {
    expect([...line(raw([0, 1, 2, 3, 50, 51], [1, 1, 1, 1, 1, 1])).joined]).toEqual([0, 1, 1, 1, 0, 1]);
    expect([...line(raw([0, 1, 2, 3, 11], [1, 1, 1, 1, 1])).joined]).toEqual([0, 1, 1, 1, 1]);
  });

  it("puts a bucket in the middle of the steps it can hold, within what was logged", () => {
    expect(bucketMiddle(5, 0, "step", 0, 100)).toBe(5);
    expect(bucketMiddle(1, 2, "step", 0, 100)).toBe(5.5);
    expect(bucketMiddle(1, 2, "rel", 0, 100)).toBe(6);
    expect(bucketMiddle(24, 2, "step", 0, 96)).toBe(96);
    expect(bucketMiddle(1, -1, "rel", 0, 9)).toBe(0.75);
  });

  it("keeps the extent of every bucket and finds the spike of one point in a million", () => {
    const mean = Array.from({ length: 160 }, () => 1);
    const low = mean.map(() => 0.9);
    const high = mean.map((_, i) => (i === 77 ? 50 : 1.1));
    const made = line(buckets(13, mean, { low, high }));
    expect(made.band?.high[77]).toBe(50);
    expect(made.band?.spikes).toEqual([77]);
    expect(
      yExtent({ ...plan([buckets(13, mean, { low, high })], "step") }, [0, 1e7], LINEAR).range[1],
    ).toBeGreaterThan(50);
  });

  it("sees a spike at either end and downwards, and none in ordinary noise", () => {
    const noisy = Array.from({ length: 40 }, (_, i) => 1 + 0.1 * Math.sin(i * 12.9898));
    const low = noisy.map((v) => v - 0.5);
    const high = noisy.map((v) => v + 0.5);
    expect(line(buckets(4, noisy, { low, high })).band?.spikes).toEqual([]);
    low[0] = -9;
    high[39] = 9;
    expect(line(buckets(4, noisy, { low, high })).band?.spikes).toEqual([0, 39]);
  });

  it("counts non-finite points of buckets from below and says so", () => {
    const made = plan([buckets(2, [1, Number.NaN, 3])], "step");
    expect(made).toMatchObject({ nonFinite: 4, nonFiniteExact: false });
    expect([...(made.lines[0]?.joined ?? [])]).toEqual([0, 0]);
  });

  it("reads float32 columns with their base", () => {
    const column = { base: 1000, values: Float32Array.from([0.5, 1.5]) };
    const columns = { min: column, max: column, mean: column };
    expect([...line(buckets(0, [0, 0], { columns })).y]).toEqual([1000.5, 1001.5]);
  });

  it("orders ranks, spans all of them, and counts what failed", () => {
    const failed = { ...raw([], []), kind: "error" as const };
    const made = plan([raw([5, 9], [1, 1], { rank: 1 }), raw([0, 3], [1, 1], { rank: 0 }), failed], "step");
    expect(made.lines.map((l) => l.rank)).toEqual([0, 1]);
    expect(made).toMatchObject({ xMin: 0, xMax: 9, failed: 1 });
  });

  it("draws superseded parts below the curves, without a newest point", () => {
    const made = plan(
      [raw([0, 1], [5, 6], { rank: 1 }), raw([0, 1], [1, 2]), raw([3, 4], [9, 9], { attempt: 1, lastY: 9 })],
      "step",
    );
    expect(made.lines.map((line) => [line.attempt, line.rank])).toEqual([
      [1, 0],
      [0, 0],
      [0, 1],
    ]);
    expect(made.lines[0]?.last).toBeNull();
    expect(made.xMax).toBe(4);
  });

  it("is empty, not broken, without points", () => {
    const made = plan([{ ...raw([], []), kind: "absent" }], "step");
    expect(made.lines).toEqual([]);
    expect(made.xMin).toBeNaN();
    expect(yExtent(made, [0, 1], LINEAR).range).toEqual([0, 1]);
  });
});

describe("extent", () => {
  it("does not force zero in and gives a constant some room", () => {
    expect(yExtent(plan([raw([0, 1], [10, 20])], "step"), [0, 1], LINEAR).range).toEqual([9.4, 20.6]);
    expect(yExtent(plan([raw([0, 1], [5, 5])], "step"), [0, 1], LINEAR).range).toEqual([4.5, 5.5]);
    expect(yExtent(plan([raw([0], [0])], "step"), [0, 1], LINEAR).range).toEqual([-1, 1]);
  });

  it("counts what a logarithmic axis cannot show", () => {
    const extent = yExtent(plan([raw([0, 1, 2, 3], [0, -1, 1, 100])], "step"), [0, 3], LOG);
    expect(extent.hidden).toBe(2);
    expect(extent.range[0]).toBeGreaterThan(0.5);
  });

  it("looks only at what is in view, and one vertex beyond each edge", () => {
    const all = plan([raw([0, 1, 2, 3, 4, 5], [100, 1, 2, 3, 4, 100])], "step");
    expect(yExtent(all, [1.5, 3.5], LINEAR).range[1]).toBeLessThan(5);
  });

  it("finds the nearest vertex", () => {
    const made = line(raw([0, 10, 20], [1, 2, 3]));
    expect([-5, 4, 6, 14.9, 99].map((x) => nearest(made, x))).toEqual([0, 0, 1, 1, 2]);
    expect(nearest(line(raw([], [], { xMin: 0, xMax: 0 })), 3)).toBe(-1);
    expect(lowerBound(Float64Array.from([1, 2, 2, 3]), 2)).toBe(1);
  });

  it("labels decades, and 2 and 5 when there are few", () => {
    expect(logTicks(0.05, 2000)).toEqual([0.1, 1, 10, 100, 1000]);
    expect(logTicks(0.9, 12)).toEqual([1, 2, 5, 10]);
  });
});

describe("a robust y range", () => {
  const robust = (log: boolean) => ({ scale: log ? "log" : "linear", robust: true }) as const;

  it("leaves the few far points out, and all points of a line without any in", () => {
    const y = Array.from({ length: 1000 }, (_, i) => Math.sin(i));
    y[500] = 1e6;
    const x = y.map((_, i) => i);
    const [low, high] = yExtent(plan([raw(x, y)], "step"), [0, 1000], robust(false)).range;
    expect(high).toBeLessThan(1.2);
    expect(low).toBeGreaterThan(-1.2);
    const flat = plan([raw([0, 1, 2], [1, 50, 1])], "step");
    expect(yExtent(flat, [0, 2], robust(false))).toEqual(yExtent(flat, [0, 2], LINEAR));
  });

  it("counts a bucket with all of its points, so that one extreme among thousands is far", () => {
    const mean = Array.from({ length: 64 }, (_, i) => 1 + i / 100);
    const high = mean.map((v, i) => (i === 30 ? 4000 : v));
    const n = { base: 0, values: Float64Array.from(mean.map(() => 1000)) };
    const made = buckets(10, mean, { high });
    const many = { ...made, columns: { ...made.columns, n } };
    expect(yExtent(plan([many], "step"), [0, 65_536], robust(false)).range[1]).toBeLessThan(2);
    expect(yExtent(plan([many], "step"), [0, 65_536], LINEAR).range[1]).toBeGreaterThan(4000);
  });
});
