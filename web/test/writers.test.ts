import { describe, expect, it } from "vitest";
import type { Run, Writer } from "../src/data/types.ts";
import { bytes } from "../src/format.ts";
import { byTrouble, marked, sum } from "../src/views/writers.tsx";

function writer(rank: number, part: Partial<Writer> = {}): Writer {
  const made = { id: `w${rank}`, rank, host: `n${rank >> 3}`, attempt: 1, state: "running", started_us: 1 };
  return { ...made, records_dropped: 0, mark: null, ...part } as Writer;
}

describe("the table of processes", () => {
  it("has the worst first, then goes by rank", () => {
    const writers = [
      writer(0),
      writer(4, { mark: "lagging" }),
      writer(3, { records_dropped: 2 }),
      writer(9, { mark: "dead", state: "failed" }),
      writer(2, { mark: "stopped" }),
      writer(7, { mark: "stopped" }),
      writer(1),
      writer(5, { mark: "lost", state: "crashed" }),
    ];
    expect(byTrouble(writers).map((w) => w.rank)).toEqual([9, 5, 2, 7, 4, 3, 0, 1]);
    expect(marked(writers)).toEqual([
      ["dead", 1],
      ["lost", 1],
      ["stopped", 2],
      ["lagging", 1],
    ]);
  });

  it("has the present attempt before all trouble of earlier ones", () => {
    const writers = [
      writer(0, { mark: "dead", id: "old" }),
      writer(0, { attempt: 2 }),
      writer(1, { attempt: 2 }),
    ];
    expect(byTrouble(writers).map((w) => w.attempt)).toEqual([2, 2, 1]);
  });

  it("says in a line what a thousand do", () => {
    const writers = Array.from({ length: 1024 }, (_, rank) => writer(rank));
    writers[5] = writer(5, { state: "failed", mark: "dead" });
    expect(sum({ writers } as Run)).toBe(
      "1\u2009024 processes on 128 nodes: 1\u2009023 running, 1 failed. In trouble: 1 died.",
    );
    expect(sum({ writers: [writer(0)] } as Run)).toBe("1 process on 1 node: 1 running.");
  });

  it("writes bytes in a unit that suits", () => {
    expect([0, 1, 1023, 1024, 3 << 20, 5e12].map(bytes)).toEqual([
      "–",
      "1 B",
      "1\u2009023 B",
      "1 KiB",
      "3 MiB",
      "4.55 TiB",
    ]);
  });
});
