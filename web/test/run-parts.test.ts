/** Parts of a run's page that are decided without it: curves in a row, what happened, the runs beside it. */
import { describe, expect, it } from "vitest";
import type { Run, Writer } from "../src/data/types.ts";
import { plan } from "../src/plot/plan.ts";
import { extremes, spark } from "../src/plot/spark.ts";
import { environment, factsOf } from "../src/state/facts.ts";
import { beside } from "../src/state/neighbours.ts";
import { levelsOf, levelsWord, timeline } from "../src/state/timeline.ts";
import { buckets, raw } from "./series.ts";

describe("a curve in a row", () => {
  it("has its extremes with the place, also those inside of buckets", () => {
    expect(extremes(plan([raw([0, 5, 9], [2, -1, 7])], "step"))).toEqual({
      low: { x: 5, y: -1 },
      high: { x: 9, y: 7 },
      width: 0,
    });
    const reduced = plan([buckets(3, [5, 5, 5], { low: [4, 1, 4], high: [6, 6, 90] })], "step");
    const found = extremes(reduced);
    expect([found?.low.y, found?.high.y, found?.width]).toEqual([1, 90, 8]);
    // The stroke of the spike reaches the upper edge.
    expect(spark(reduced, 96, 20).extent).toMatch(/V1\.5$/);
    expect(extremes(plan([], "step"))).toBeNull();
    expect(spark(plan([raw([0], [Number.NaN])], "step"), 96, 20)).toEqual({ course: "", extent: "" });
  });

  it("lifts the pen over gaps, and shows a point that is alone", () => {
    const gapped = spark(plan([raw([0, 1, 2, 3], [1, Number.NaN, 3, 4])], "step"), 100, 20);
    expect(gapped.course).toBe("M1.5 18.5h0M66.2 7.2L98.5 1.5");
    expect(spark(plan([raw([7], [3])], "step"), 100, 20).course).toBe("M50 10h0");
  });
});

const run = (part: object): Run =>
  ({
    writers: [],
    attempts: [],
    events: [],
    gaps: [],
    stop: null,
    ended_us: null,
    metadata: {},
    ...part,
  }) as unknown as Run;
const writer = (part: Partial<Writer>): Writer =>
  ({ host: "n1", rank: 0, state: "finished", exit_code: 0, ended_us: 50, ...part }) as unknown as Writer;

describe("what happened", () => {
  it("are attempts, ends, stops and what was told, the newest first", () => {
    const events = timeline(
      run({
        state: "failed",
        exit_code: 3,
        ended_us: 90,
        attempts: [
          { attempt: 1, started_us: 10, first_step: 0, state: "crashed" },
          { attempt: 2, started_us: 60, first_step: 1900, state: "failed" },
          { attempt: 3, started_us: null, first_step: null, state: "running" },
        ],
        writers: [
          writer({ rank: 1 }),
          writer({ rank: 2, state: "failed", exit_code: 3, ended_us: 80 }),
          writer({ ended_us: null }),
        ],
        stop: { requested_us: 70, via: "cli", by: "ada", open: false },
        events: [
          { time_us: 55, level: "error", code: "rows_dropped", text: "13 rows", host: null, rank: null },
        ],
      }),
    );
    expect(events.map(({ time_us, level, code, rank }) => [time_us, level, code, rank])).toEqual([
      [90, "error", "run_ended", null],
      [80, "warn", "process_ended", 2],
      [70, "warn", "stop_requested", null],
      [60, "info", "attempt", null],
      [55, "error", "rows_dropped", null],
      [50, "info", "process_ended", 1],
      [10, "info", "attempt", null],
    ]);
    expect(events[3]?.text).toBe("Attempt 2 begins at step 1\u2009900; it is failed now.");
  });

  it("does not tell the end of the only process beside that of its run, nor the ends of hundreds", () => {
    const codes = (writers: Writer[]): string[] => timeline(run({ writers })).map(({ code }) => code);
    expect(codes([writer({})])).toEqual([]);
    expect(codes(Array.from({ length: 65 }, () => writer({})))).toEqual([]);
    expect(codes(Array.from({ length: 64 }, () => writer({})))).toHaveLength(64);
  });

  it("is reduced by level, in a word of the address", () => {
    expect(levelsWord(levelsOf(null))).toBeNull();
    expect(levelsWord(levelsOf("warn,nonsense"))).toBe("warn");
    expect([...levelsOf("")]).toEqual([]);
    expect(levelsWord(levelsOf(""))).toBe("");
  });
});

describe("the runs beside it", () => {
  const list = ["pin", "a", "b", "pin", "c"].map((id) => ({ id, name: id }));
  it.each([
    ["pin", null, "a"],
    ["a", "pin", "b"],
    ["b", "a", "c"],
    ["c", "b", null],
  ])("%s", (id, before, after) => {
    const found = beside(list, id);
    expect([found?.before?.id ?? null, found?.after?.id ?? null]).toEqual([before, after]);
  });
  it("are none of a run that is not in the list", () => expect(beside(list, "x")).toBeNull());
});

describe("facts", () => {
  const metadata = { program: "train.py", args: ["--name", "a b", 3], python: "3.11", os: "", gpu: "H100" };
  it("have the command line as one, leave out what is empty, and keep what is new to this page", () => {
    expect(environment({ metadata })).toEqual([
      ["Command", 'train.py --name "a b" 3'],
      ["Python", "3.11"],
      ["gpu", "H100"],
    ]);
  });
  it("are those that a run has", () => {
    const names = factsOf(
      run({
        state: "finished",
        created_us: 1,
        tags: [],
        fork: null,
        heartbeat_us: 2e6,
        metadata,
        started_us: 0,
      }),
    ).map(({ path }) => path[0]);
    expect(names).not.toContain("Tags");
    expect(names).toContain("Duration");
  });
});
