// @vitest-environment node
/** Devices over time: cells, families, outliers; and the colours of the scale. */
import { describe, expect, it } from "vitest";
import type { Machine } from "../src/data/types.ts";
import { cellsOf, median, middle, outlierLimit } from "../src/plot/heat.ts";
import { shadeOf, shadesOf } from "../src/plot/heat-map.ts";
import { type Line, plan } from "../src/plot/plan.ts";
import { byPlace, deviceName, deviceOf, familiesOf, isPercent } from "../src/state/devices.ts";
import { buckets, raw } from "./series.ts";
import { contrast, distance, rgb, type Theme, token } from "./vision.ts";

const line = (series: Parameters<typeof plan>[0][number]): Line => plan([series], "rel").lines[0] as Line;
const every = (n: number, step: number): number[] => Array.from({ length: n }, (_, i) => i * step);

describe("cells", () => {
  it("have the mean of what held in their time, and its extremes", () => {
    const cells = cellsOf(line(raw([0, 10, 20, 30], [1, 3, 5, 7])), 0, 40, 2);
    expect([...cells.mean]).toEqual([2, 6]);
    expect([...cells.low]).toEqual([1, 5]);
    expect([...cells.high]).toEqual([3, 7]);
  });

  it("narrower than the distance of samples are not empty in between", () => {
    const cells = cellsOf(line(raw(every(4, 10), [1, 2, 3, 4])), 0, 40, 8);
    expect([...cells.mean]).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
  });

  it("are empty where nothing was measured, not zero", () => {
    const x = [...every(10, 10), ...every(10, 10).map((v) => v + 500)];
    const cells = cellsOf(
      line(
        raw(
          x,
          x.map(() => 5),
        ),
      ),
      0,
      600,
      6,
    );
    expect([...cells.mean]).toEqual([5, Number.NaN, Number.NaN, Number.NaN, Number.NaN, 5]);
    expect([...cells.low]).toEqual([5, Number.NaN, Number.NaN, Number.NaN, Number.NaN, 5]);
  });

  it("keep a dip of a single sample among thousands", () => {
    const y = every(5000, 1).map((i) => (i === 3210 ? 3 : 99));
    const cells = cellsOf(line(raw(every(5000, 1), y)), 0, 5000, 160);
    expect(Math.min(...cells.low)).toBe(3);
    expect(Math.min(...cells.mean)).toBeGreaterThan(90);
    const reduced = buckets(4, [50, 50, 40, 50], { low: [50, 50, 1, 50], high: [50, 50, 60, 50] });
    const coarse = cellsOf(line(reduced), 0, 64, 2);
    expect([...coarse.low]).toEqual([50, 1]);
    expect([...coarse.high]).toEqual([50, 60]);
  });

  it("make the line of the middle device, and a band over all", () => {
    const rows = [1, 5, 100].map((y) => cellsOf(line(raw(every(4, 10), [y, y, y, y])), 0, 40, 4));
    const made = middle(rows, 0, 40, 4).lines[0];
    expect([...(made?.y ?? [])]).toEqual([5, 5, 5, 5]);
    expect([made?.band?.low[0], made?.band?.high[0]]).toEqual([1, 100]);
    expect([...(made?.x ?? [])]).toEqual([5, 15, 25, 35]);
    expect(middle([], 0, 1, 4).lines[0]?.x).toHaveLength(0);
  });
});

describe("outliers", () => {
  it("are what is far from the middle, in the measure of the others", () => {
    const means = [96, 95, 97, 96, 95.5, 96.5, 61];
    const limit = outlierLimit(means, 100);
    expect(means.filter((v) => Math.abs(v - median(means)) > limit)).toEqual([61]);
    // Alike to the last digit but for noise: nobody stands out.
    expect(outlierLimit([70, 70, 70, 70.5], 100)).toBe(1);
  });

  it("have a middle also of an even number, and of none", () => {
    expect(median([1, 9, 3, Number.NaN, 5])).toBe(4);
    expect(median([])).toBeNaN();
  });
});

describe("devices", () => {
  it("of one metric belong together, utilisation first, by number of devices", () => {
    const keys = [
      "cpu",
      "gpu.10.temp",
      "gpu.0.gpu",
      "gpu.10.gpu",
      "gpu.2.gpu",
      "gpu.0.temp",
      "gpu.process.0.gpu",
    ];
    const found = familiesOf(keys, () => 4);
    expect(found.map(({ id, devices }) => [id, devices])).toEqual([
      ["gpu.*.gpu", 12],
      ["gpu.*.temp", 8],
      ["cpu", 4],
      ["gpu.process.*.gpu", 4],
    ]);
    expect(found[0]?.keys).toEqual(["gpu.0.gpu", "gpu.2.gpu", "gpu.10.gpu"]);
  });

  it("are called by machine and number, in their order", () => {
    const machine = (host: string, rank: number): Machine => ({
      ...{ host, rank, attempt: 1, seen_us: null, missing_us: null, backlog_records: 0 },
    });
    const machines = [machine("n0", 0), machine("n1", 8)];
    const devices = [
      deviceOf("gpu.10.gpu", 8, machines),
      deviceOf("gpu.2.gpu", 8, machines),
      deviceOf("gpu.9.gpu", 0, machines),
      deviceOf("cpu", 16, machines),
    ];
    expect(devices.toSorted(byPlace).map(deviceName)).toEqual([
      "n0 gpu 9",
      "n1 gpu 2",
      "n1 gpu 10",
      "rank 16",
    ]);
  });

  it.each([
    ["gpu.*.gpu", true],
    ["gpu.*.memoryAllocated", true],
    ["memory_percent", true],
    ["cpu", true],
    ["gpu.*.temp", false],
    ["gpu.*.memoryAllocatedBytes", false],
    ["network.sent", false],
  ])("%s in percent: %s", (id, percent) => expect(isPercent(id)).toBe(percent));
});

describe.each([
  ["light", 0],
  ["dark", 1],
] as const)("the scale of colours, %s", (_name, theme: Theme) => {
  const ramp = Array.from({ length: 9 }, (_, i) => token(`seq-${i + 1}`, theme));
  const paper = rgb(token("paper", theme));

  it("goes one way, in steps that can be told apart", () => {
    const against = ramp.map((colour) => contrast(rgb(colour), paper));
    for (let i = 1; i < 9; i++) {
      expect(against[i] ?? 0, `stop ${i + 1}`).toBeGreaterThan((against[i - 1] ?? 0) * 1.1);
      expect(distance(ramp[i - 1] ?? "", ramp[i] ?? ""), `stop ${i + 1}`).toBeGreaterThan(4);
    }
  });

  it("has ends that stand out of each other and a high end that stands out of the page", () => {
    expect(contrast(rgb(ramp[0] ?? ""), rgb(ramp[8] ?? ""))).toBeGreaterThanOrEqual(7);
    expect(contrast(rgb(ramp[8] ?? ""), paper)).toBeGreaterThanOrEqual(7);
    // The frame of a cell is ink on paper, so it is seen on every colour: one of both always is.
    const ink = rgb(token("ink", theme));
    for (const colour of ramp)
      expect(Math.max(contrast(rgb(colour), ink), contrast(rgb(colour), paper))).toBeGreaterThanOrEqual(3);
  });

  it("gives a value its share of the way, and what is beyond an end that end", () => {
    const css = ramp.map((colour) => `rgb(${rgb(colour).join(", ")})`);
    const shades = shadesOf(css);
    expect([shades[0], shades.at(-1)]).toEqual([css[0], css[8]]);
    expect(shadeOf(-5, [0, 100], shades)).toBe(css[0]);
    expect(shadeOf(500, [0, 100], shades)).toBe(css[8]);
    expect(shadeOf(7, [7, 7], shades)).toBe(shades[32]);
  });
});
