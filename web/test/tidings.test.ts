import { describe, expect, it } from "vitest";
import type { Machine, Run } from "../src/data/types.ts";
import { losses, silent } from "../src/views/tidings.tsx";

const run = (part: Partial<Run>): Run =>
  ({ writers: [], gaps: [], machines: [], attempts: [], events: [], stop: null, ...part }) as unknown as Run;

describe("what is said above the tabs", () => {
  it("is nothing when nothing was lost", () => {
    const writers = [{ records_dropped: 0 }, { records_dropped: null }] as Run["writers"];
    expect(losses(run({ writers }))).toEqual([]);
  });

  it("adds up what all processes dropped and all gaps hold", () => {
    const writers = [{ records_dropped: 1 }, { records_dropped: 1999 }] as Run["writers"];
    const gaps = [
      { first_seq: 0, records: 1, text: "" },
      { first_seq: 9, records: 2, text: "" },
    ];
    expect(losses(run({ writers, gaps }))).toEqual([
      "3 records of this run are lost in 2 places: a log was damaged before it was sent.",
      "2\u2009000 rows were dropped: there was no room for them on the disk.",
    ]);
    expect(losses(run({ gaps: gaps.slice(0, 1) }))).toEqual([
      "1 record of this run is lost: a log was damaged before it was sent.",
    ]);
  });

  it("names the silent machines of the present attempt only", () => {
    const machine = (host: string, attempt: number, missing: number | null): Machine => ({
      host,
      attempt,
      rank: 0,
      seen_us: 1,
      missing_us: missing,
      backlog_records: 0,
    });
    const machines = [machine("old", 1, 5), machine("a", 2, 5), machine("b", 2, null)];
    const attempts = [1, 2].map((attempt) => ({
      attempt,
      started_us: 0,
      first_step: null,
      state: "running" as const,
    }));
    expect(silent(run({ machines, attempts })).map((each) => each.host)).toEqual(["a"]);
  });
});
