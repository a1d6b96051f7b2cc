/** The list of runs against a server that is a list: what is asked for as news come, and what is shown then. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CHANGED, type Nudge } from "../src/data/types.ts";
import { RunList } from "../src/state/run-list.ts";
import { settle } from "./clock.ts";

interface Asked {
  filter: { id?: { $in: string[] } } | string | null;
  offset: number;
  limit: number;
}

const SORT = { key: "created_us", desc: true };
let stored: Map<string, string>;
let asked: Asked[];
let list: RunList;

function answer(body: Asked): Response {
  asked.push(body);
  if (body.filter === "state:") {
    return Response.json({ code: "bad_filter", detail: "a value", column: 7, length: 1 }, { status: 400 });
  }
  const wanted = typeof body.filter === "object" ? body.filter?.id?.$in : undefined;
  const all = [...stored].filter(([id]) => wanted === undefined || wanted.includes(id));
  const page = all.slice(body.offset, body.offset + body.limit);
  return Response.json({
    epoch: 1,
    rev: 1,
    total: all.length,
    ids: page.map(([id]) => id),
    columns: {
      name: page.map(([id]) => `run ${id}`),
      state: page.map(([, state]) => state),
      created_us: page.map(() => 1),
    },
  });
}

const nudge = (...runs: [string, number][]): Nudge => ({
  p: "p",
  rev: 2,
  runs: runs.map(([run, bits]) => [run, 2, bits]),
});

async function later(): Promise<void> {
  for (let i = 0; i < 4; i++) await settle();
  await vi.advanceTimersByTimeAsync(1100);
  for (let i = 0; i < 4; i++) await settle();
}

const shown = (): [string, string][] => (list.rows.value ?? []).map((row) => [row.id, row.state]);

beforeEach(async () => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", (_url: string, init: RequestInit) =>
    Promise.resolve(answer(JSON.parse(String(init.body)) as Asked)),
  );
  stored = new Map([
    ["a", "running"],
    ["b", "running"],
  ]);
  asked = [];
  list = new RunList("local:p");
  list.look({ filter: "", sort: SORT, wanted: [], group: [] });
  await later();
  asked.length = 0;
});
afterEach(() => {
  list.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("runs list", () => {
  it("asks for nothing when known runs only log", async () => {
    list.onNudge(nudge(["a", CHANGED.metrics | CHANGED.values], ["b", CHANGED.system]));
    await later();
    expect(asked).toEqual([]);
    expect(shown()).toEqual([
      ["a", "running"],
      ["b", "running"],
    ]);
  });

  it("asks for the run whose state has changed, and for no other", async () => {
    stored.set("a", "finished");
    list.onNudge(nudge(["a", CHANGED.state]));
    await later();
    expect(asked.map((query) => query.filter)).toEqual([{ id: { $in: ["a"] } }]);
    expect(shown()[0]).toEqual(["a", "finished"]);
  });

  it("loads anew when a run is new, and when one is not there any more", async () => {
    stored.set("c", "running");
    list.onNudge(nudge(["c", CHANGED.state]));
    await later();
    expect(shown().map(([id]) => id)).toEqual(["a", "b", "c"]);
    stored.delete("b");
    list.onNudge(nudge(["b", CHANGED.state]));
    await later();
    expect(shown().map(([id]) => id)).toEqual(["a", "c"]);
    expect(list.total.value).toBe(2);
  });

  it("loads a page at a time, as far as somebody looks", async () => {
    stored = new Map(Array.from({ length: 2500 }, (_, i) => [`r${i}`, "finished"]));
    list.retry();
    list.onNudge({ p: "p", rev: 3, runs: [] });
    await later();
    expect([list.rows.value?.length, list.total.value]).toEqual([1000, 2500]);
    list.need(1010);
    await later();
    expect(list.rows.value?.length).toBe(2000);
  });

  it("finds wanted runs that are not among the rows", async () => {
    stored = new Map(Array.from({ length: 1500 }, (_, i) => [`r${i}`, "finished"]));
    list.look({ filter: "", sort: SORT, wanted: ["r1400"], group: [] });
    await later();
    expect(list.others.value.map((row) => row.name)).toEqual(["run r1400"]);
    expect(list.row("r1400")?.state).toBe("finished");
  });

  it("keeps its rows while a line is no filter, says where, and does not ask again by itself", async () => {
    list.look({ filter: "state:", sort: SORT, wanted: [], group: [] });
    await later();
    expect(list.error.value?.place).toEqual({ column: 7, length: 1 });
    expect(shown()).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(1);
    list.look({ filter: "state:running", sort: SORT, wanted: [], group: [] });
    await later();
    expect([list.error.value, asked.at(-1)?.filter]).toEqual([null, "state:running"]);
  });
});
