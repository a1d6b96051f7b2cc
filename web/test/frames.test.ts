// @vitest-environment node
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ALL_RANKS, decodeFrames, FrameError, type Series } from "../src/data/frames.ts";
import { exactParts, type JsonPanel, panelJson, sameMean } from "./comparable.ts";
import { encodeFrame, stream } from "./encode-frames.ts";

const one = (buffer: ArrayBuffer): Series => {
  const series = decodeFrames(buffer)[0]?.series[0];
  if (series === undefined) throw new Error("no series");
  return series;
};

describe("frames", () => {
  it("reads raw points as views, exact to the bit", () => {
    const buffer = stream(
      encodeFrame(7, 0, [
        {
          run: "a1",
          key: "train/loss",
          kind: "raw",
          rank: 3,
          attempt: 2,
          x: [0, 1, 2],
          y: [0.1, Number.NaN, -0],
          last: [2, -0, 1.5e9],
          xRange: [0, 2],
        },
      ]),
    );
    const [frame] = decodeFrames(buffer);
    expect(frame).toMatchObject({ panel: 7, rev: 1234, epoch: 9n });
    const series = one(buffer);
    if (series.kind !== "raw") throw new Error(series.kind);
    expect(series).toMatchObject({
      run: "a1",
      key: "train/loss",
      rank: 3,
      attempt: 2,
      rev: 77,
      nTotal: 1000,
      lastT: 1.5e9,
    });
    expect([...series.y]).toEqual([0.1, Number.NaN, -0]);
    expect(series.y.buffer).toBe(buffer);
  });

  it("reads sparse float32 buckets with a base, in the order of the mask", () => {
    const columns = { n: [4, 4], min: [1000.5, 1001], max: [1002, 1003], last: [1001.25, 1002.5] };
    const series = one(
      stream(
        encodeFrame(1, 2, [
          { run: "r", key: "k", kind: "buckets", base: 1000, first: 5, idx: [0, 9], columns },
        ]),
      ),
    );
    if (series.kind !== "buckets") throw new Error(series.kind);
    expect(series).toMatchObject({ exp: 2, first: 5, rows: 2 });
    expect([...(series.idx ?? [])]).toEqual([0, 9]);
    for (const [name, values] of Object.entries(columns)) {
      const column = series.columns[name as keyof typeof columns];
      if (column === undefined) throw new Error(name);
      expect([...column.values].map((v) => v + column.base)).toEqual(values);
    }
    expect(series.columns.mean).toBeUndefined();
  });

  it("reads dense float64 buckets of a negative first bucket and a negative exponent", () => {
    const mean = [1e-300, 1, 2];
    const spec = { run: "r", key: "k", kind: "buckets", f64: true, first: -4, columns: { mean } } as const;
    const series = one(stream(encodeFrame(1, -3, [{ ...spec, columns: { mean: [...mean] } }])));
    if (series.kind !== "buckets") throw new Error(series.kind);
    expect(series).toMatchObject({ exp: -3, first: -4, idx: null });
    expect([...(series.columns.mean?.values ?? [])]).toEqual(mean);
  });

  it("reads several frames, names in any script, and series without points", () => {
    const frames = decodeFrames(
      stream(
        encodeFrame(1, 0, [{ run: "試験", key: "损失/🛟", kind: "absent" }]),
        encodeFrame(2, 0, []),
        encodeFrame(3, 0, [{ run: "a", key: "b", kind: "unchanged" }]),
      ),
    );
    expect(frames.map((frame) => frame.panel)).toEqual([1, 2, 3]);
    expect(frames[0]?.series[0]).toMatchObject({ run: "試験", key: "损失/🛟", kind: "absent" });
    expect(frames[2]?.series[0]?.kind).toBe("unchanged");
  });

  it("refuses an answer that was cut anywhere, and never reads past it", () => {
    const whole = stream(
      encodeFrame(1, 0, [{ run: "a", key: "b", kind: "raw", x: [1, 2], y: [3, 4] }]),
      encodeFrame(2, 1, [{ run: "a", key: "b", kind: "buckets", columns: { n: [1], min: [1], max: [2] } }]),
    );
    for (let size = 0; size < whole.byteLength; size++) {
      expect(() => decodeFrames(whole.slice(0, size)), `cut at ${size}`).toThrow(FrameError);
    }
    expect(decodeFrames(whole)).toHaveLength(2);
  });

  it("refuses foreign bytes", () => {
    expect(() => decodeFrames(new TextEncoder().encode("<!doctype html>".repeat(9)).buffer)).toThrow(
      /no magic/,
    );
  });
});

const golden = fileURLToPath(new URL("../../tests/golden/", import.meta.url));
const names = existsSync(golden) ? readdirSync(golden).filter((name) => /^frames_.*\.bin$/.test(name)) : [];

const OURS = [
  encodeFrame(5, 4, [
    {
      run: "r-é",
      key: "loss",
      kind: "buckets",
      flags: 3,
      first: -2,
      idx: [0, 4],
      columns: {
        n: [2, 1],
        min: [0.5, 1.5],
        max: [2.5, 1.5],
        first: [0.5, 1.5],
        sumsq: [4.5, 2.25],
        smooth: [1.25, 1.5],
      },
      state: [12.5, 20],
    },
    {
      run: "r",
      key: "y",
      kind: "buckets",
      f64: true,
      count: 3,
      idx: [1, 0, 2],
      columns: { last: [0.1, 0.2, 0.3], segment: [0, 1, 1] },
    },
    {
      run: '["adam"]',
      key: "loss",
      kind: "group",
      rank: 0xffffffff,
      f64: true,
      count: 3,
      columns: { n: [3], mean: [0.1], std: [0.01], se: [0.005] },
    },
    {
      run: "",
      key: "",
      kind: "density",
      rank: 0xffffffff,
      first: 7,
      count: 1200,
      grid: [
        [0, 1, 65535],
        [2, 3, 4],
      ],
      state: [-2.5, 4],
    },
  ]),
  encodeFrame(6, -3, [
    {
      run: "r",
      key: "loss",
      kind: "raw",
      flags: 2,
      x: [3, 4, 1],
      y: [0.5, 0.25, -0.5],
      columns: { smooth: [0.5, 0.375, -0.5], segment: [0, 0, 1] },
    },
    { run: "bad_filter", key: "The filter is odd.", kind: "error" },
  ]),
];

describe.skipIf(!existsSync(golden))("the golden frames for the server's reader", () => {
  it("are what this side writes", () => {
    if (process.env.WRITE_GOLDEN)
      writeFileSync(`${golden}written_by_typescript.bin`, Buffer.from(stream(...OURS)));
    expect(Buffer.from(stream(...OURS)).equals(readFileSync(`${golden}written_by_typescript.bin`))).toBe(
      true,
    );
  });

  it("come back as they were written", () => {
    const [one, two] = decodeFrames(stream(...OURS));
    const [smooth, pieces, group, density] = one?.series ?? [];
    expect(smooth).toMatchObject({ sealed: true, tail: true, smoothState: [12.5, 20] });
    expect(pieces).toMatchObject({ kind: "buckets", count: 3, sealed: false });
    expect(pieces?.kind === "buckets" && [...(pieces.columns.segment?.values ?? [])]).toEqual([0, 1, 1]);
    expect(group).toMatchObject({ kind: "group", run: '["adam"]', count: 3, rank: ALL_RANKS });
    expect(density).toMatchObject({ kind: "density", first: 7, columns: 2, cells: 3, yRange: [-2.5, 4] });
    expect(density?.kind === "density" && [...density.counts]).toEqual([0, 1, 65535, 2, 3, 4]);
    const [points, failed] = two?.series ?? [];
    expect(points?.kind === "raw" && [...(points.smooth ?? []), ...(points.segment ?? [])]).toEqual([
      0.5, 0.375, -0.5, 0, 0, 1,
    ]);
    expect(failed).toMatchObject({ kind: "error", run: "bad_filter", key: "The filter is odd." });
  });
});

describe.skipIf(names.length === 0)("golden frames of the server", () => {
  it.each(names)("%s", (name) => {
    const buffer = Uint8Array.from(readFileSync(golden + name)).buffer;
    const expected = JSON.parse(readFileSync(golden + name.replace(/\.bin$/, ".json"), "utf8")) as
      | { panels: JsonPanel[] }
      | JsonPanel[];
    const panels = Array.isArray(expected) ? expected : expected.panels;
    const frames = decodeFrames(buffer).map(panelJson);
    expect(frames).toHaveLength(panels.length);
    panels.forEach((panel, i) => {
      const ours = exactParts(frames[i] as JsonPanel);
      const theirs = exactParts(panel);
      expect(ours.panel).toEqual(theirs.panel);
      theirs.means.forEach((mean, k) => {
        expect(sameMean(mean, ours.means[k] ?? [])).toBe(true);
      });
    });
  });
});
