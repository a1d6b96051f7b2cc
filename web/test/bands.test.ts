import { describe, expect, it } from "vitest";
import { ALL_RANKS } from "../src/data/frames.ts";
import type { Machine } from "../src/data/types.ts";
import { marksAt, marksOf } from "../src/plot/marks.ts";
import { plan } from "../src/plot/plan.ts";
import { Tooltip } from "../src/plot/tooltip.ts";
import { asked, leftOut, machineName, RANK_LINES_MAX, ranksOf, spread } from "../src/state/ranks.ts";
import { notes } from "../src/views/chart-panel.tsx";
import { buckets } from "./series.ts";

const column = (values: number[]) => ({ base: 0, values: Float64Array.from(values) });

/** Three ranks; in the second bucket rank 1 is missing, in the third nothing is finite. */
const band = buckets(0, [2, 3, Number.NaN, 4], {
  rank: ALL_RANKS,
  columns: {
    n: column([3, 2, 3, 3]),
    min: column([1, 2, Number.NaN, 4]),
    max: column([3, 4, Number.NaN, 4]),
    mean: column([2, 3, Number.NaN, 4]),
    low: column([2, 0, 0, 0]),
    high: column([0, 7, 0, 0]),
    ranks: column([3, 2, 0, 1]),
    bad: column([0, 0, 3, 2]),
    bad_rank: column([0, 0, 0, 5]),
  },
});

describe("a band over ranks", () => {
  const made = plan([band], "step");

  it("is one line around which the ranks lie, with a gap where none is finite", () => {
    expect(made.lines).toHaveLength(1);
    const [line] = made.lines;
    expect([...(line?.y ?? [])]).toEqual([2, 3, 4]);
    expect([...(line?.joined ?? [])]).toEqual([0, 1, 0]);
    expect([...(line?.band?.high ?? [])]).toEqual([3, 4, 4]);
    expect(line?.band?.ranks?.most).toBe(3);
    expect([...(line?.band?.ranks?.highest ?? [])]).toEqual([0, 7, 0]);
  });

  it("counts exactly what is not drawn", () => {
    expect(made).toMatchObject({ nonFinite: 5, nonFiniteExact: true });
    const said = notes(made, 0, "step", "300 of 1024 ranks as lines, evenly spread");
    expect(said).toEqual([
      "300 of 1024 ranks as lines, evenly spread",
      "5 NaN or ±Inf",
      "mean of 3 ranks, shade lowest–highest",
    ]);
  });

  const told = (x: number): string[] => {
    const over = document.createElement("div");
    document.body.append(over);
    const tooltip = new Tooltip();
    tooltip.move(over);
    const marks = marksAt([{ x: 1, text: "attempt 2 begins at step 1" }], (v) => 10 * v, 10 * x);
    const to = { toLeft: (v: number) => 10 * v, toTop: (v: number) => v, pointerTop: 0, y: 0, words: true };
    tooltip.show({
      ...to,
      ...{ plan: made, x, kind: "step", colours: ["red"], nameOf: null, always: () => false, marks },
    });
    return [...(over.firstElementChild?.children ?? [])].map((row) => row.textContent ?? "");
  };

  it("names the outliers, who is missing, who has NaN, and what is marked there", () => {
    expect(told(0)).toEqual(["step 0", "mean of ranks2", "highest: rank 03", "lowest: rank 21"]);
    expect(told(1)).toEqual([
      "step 1",
      "mean of ranks3",
      "highest: rank 74",
      "lowest: rank 02",
      "2 of 3 ranks",
      "attempt 2 begins at step 1",
    ]);
    const last = told(2.9);
    expect(last).toContain("2 NaN or ±Inf, first rank 5");
  });
});

describe("ranks of a run", () => {
  const ranks = (n: number) => Array.from({ length: n }, (_, i) => i);

  it("are asked for as a band, as lines, or as some lines, and the charts say so", () => {
    expect(asked([0], "band")).toBeNull();
    expect(asked(ranks(64), "band")).toBe("band");
    expect(asked(ranks(64), "lines")).toBeNull();
    expect(leftOut(ranks(RANK_LINES_MAX), "lines")).toBeNull();
    const some = asked(ranks(1024), "lines") as number[];
    expect(new Set(some).size).toBe(RANK_LINES_MAX);
    expect([some[0], some.at(-1)]).toEqual([0, 1023]);
    expect(leftOut(ranks(1024), "lines")).toBe("300 of 1024 ranks as lines, evenly spread");
    expect(leftOut(ranks(1024), "band")).toBeNull();
    expect(spread([3, 5, 9], 2)).toEqual([3, 9]);
  });

  it("are those of all processes, once", () => {
    const writer = (rank: number) => ({ rank }) as Parameters<typeof ranksOf>[0][number];
    expect(ranksOf([writer(2), writer(0), writer(2)])).toEqual([0, 2]);
    expect(ranksOf([writer(0)], [0, 10, 9])).toEqual([0, 9, 10]);
  });

  it("are machines in system charts, where there are several", () => {
    const machine = (host: string, rank: number, attempt = 1): Machine => ({
      ...{ host, rank, attempt },
      ...{ seen_us: 1, missing_us: null, backlog_records: 0 },
    });
    const line = plan([{ ...band, rank: 8 }], "rel").lines[0];
    if (line === undefined) throw new Error("no line");
    expect(machineName([machine("a", 0)], line)).toBeNull();
    expect(machineName([machine("a", 0), machine("b", 8)], line)).toBe("b");
    expect(machineName([machine("a", 0), machine("b", 8), machine("c", 8, 2)], line)).toBe("c, b");
    expect(machineName([machine("a", 0), machine("b", 1)], line)).toBe("rank 8");
  });
});

describe("marks on the x axis", () => {
  const attempts = [
    { attempt: 1, started_us: 1e12, first_step: 0, state: "crashed" as const },
    { attempt: 2, started_us: 1e12 + 60e6, first_step: 400, state: "crashed" as const },
    { attempt: 3, started_us: 1e12 + 120e6, first_step: null, state: "running" as const },
  ];

  it("are where attempts begin and forks leave their parent", () => {
    const run = { attempts, fork: { run: "base", step: 99 }, started_us: 1e12 };
    expect(marksOf(run, "step")).toEqual([
      { x: 100, text: "forked from base at step 99" },
      { x: 400, text: "attempt 2 begins at step 400" },
    ]);
    expect(marksOf(run, "rel").map((mark) => [mark.x, mark.text])).toEqual([
      [60, "attempt 2 begins at 1 m"],
      [120, "attempt 3 begins at 2 m"],
    ]);
    expect(marksOf({ ...run, fork: null, attempts: attempts.slice(0, 1) }, "step")).toEqual([]);
  });
});
