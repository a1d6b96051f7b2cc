/** Many runs in one panel: what is asked for, and what is drawn, as eyes open and close and news come in. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PanelQuery } from "../src/data/types.ts";
import { Panels, type PanelsView } from "../src/state/panels.ts";
import { settle } from "./clock.ts";
import { encodeFrame, stream } from "./encode-frames.ts";

const VIEW: PanelsView = { runs: ["a", "b"], x: "step", range: null, superseded: false };

let asked: PanelQuery[][];
let rev: number;
let refuse: boolean;
let panels: Panels;

/** A server that answers every run with two points, of which the second is the revision. */
function answer(body: { panels: PanelQuery[] }): Response {
  asked.push(body.panels);
  if (refuse) return new Response(JSON.stringify({ code: "bad_panel", detail: "no" }), { status: 400 });
  const frames = body.panels.map((panel) => {
    const frame = encodeFrame(
      panel.id,
      0,
      panel.runs.ids.map((run) => ({
        run,
        key: panel.keys[0] ?? "",
        kind: "raw" as const,
        x: [0, 1],
        y: [1, rev],
        last: [1, rev, 0] as [number, number, number],
        xRange: [0, 1] as [number, number],
      })),
    );
    new DataView(frame.buffer).setBigUint64(40, BigInt(rev), true);
    return frame;
  });
  return new Response(stream(...frames));
}

async function answered(): Promise<void> {
  for (let i = 0; i < 6; i++) await settle();
}

beforeEach(() => {
  asked = [];
  rev = 1;
  refuse = false;
  vi.useFakeTimers();
  vi.stubGlobal("fetch", (_url: string, init: RequestInit) =>
    Promise.resolve(answer(JSON.parse(String(init.body)) as { panels: PanelQuery[] })),
  );
  panels = new Panels("local:p", "p", {
    system: false,
    reduction: (key) => (key === "many" ? "mean" : null),
  });
  panels.look(VIEW);
});
afterEach(() => {
  panels.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const runsOf = (i: number): string[][] => (asked[i] ?? []).map((query) => query.runs.ids);
const drawn = (key: string): string[] => panels.panel(key).plan?.lines.map((line) => line.run) ?? [];

describe("panels of many runs", () => {
  it("ask for all that is in view in one request", async () => {
    for (const key of ["x", "y", "many"]) panels.show(key, 400);
    await answered();
    expect(asked).toHaveLength(1);
    expect(runsOf(0)).toEqual([
      ["a", "b"],
      ["a", "b"],
      ["a", "b"],
    ]);
    expect(asked[0]?.map((query) => query.ranks)).toEqual([undefined, undefined, "mean"]);
    expect(drawn("x")).toEqual(["a", "b"]);
  });

  it("are not empty before the server has said so", async () => {
    // A page shows its panels before it knows its runs; the panels said "No points yet" until the first answer.
    panels.look({ ...VIEW, runs: [] });
    panels.show("x", 400);
    await answered();
    expect(panels.awaits(panels.panel("x"))).toBe(false);
    panels.look(VIEW);
    expect(panels.awaits(panels.panel("x"))).toBe(true);
    await vi.advanceTimersByTimeAsync(1000);
    await answered();
    expect(drawn("x")).toEqual(["a", "b"]);
    expect(panels.awaits(panels.panel("x"))).toBe(false);
  });

  it("close an eye without asking, and ask for a run whose eye opens first", async () => {
    panels.show("x", 400);
    await answered();
    panels.look({ ...VIEW, runs: ["b"] });
    expect(drawn("x")).toEqual(["b"]);
    panels.look({ ...VIEW, runs: ["b", "a"] });
    await answered();
    expect(drawn("x")).toEqual(["b", "a"]);
    expect(asked).toHaveLength(1);
    panels.look({ ...VIEW, runs: ["c", "b"] });
    await answered();
    expect(runsOf(1)).toEqual([["c"]]);
    expect(drawn("x")).toEqual(["c", "b"]);
  });

  it("ask for nothing of runs without news, and say what they hold of the others", async () => {
    panels.show("x", 400);
    await answered();
    rev = 2;
    panels.changed(["b", "unseen"]);
    await vi.advanceTimersByTimeAsync(1000);
    await answered();
    expect(asked[1]?.map((query) => [query.runs.ids, query.have])).toEqual([[["b"], { b: 1 }]]);
    expect(panels.panel("x").plan?.lines.map((line) => line.last?.y)).toEqual([1, 2]);
  });

  it("know nothing of a window that is new, but keep the picture until the answer", async () => {
    panels.show("x", 400);
    await answered();
    panels.look({ ...VIEW, range: [0, 1] });
    expect(drawn("x")).toEqual(["a", "b"]);
    await answered();
    expect(asked[1]?.map((query) => [query.runs.ids, query.have])).toEqual([[["a", "b"], {}]]);
  });

  it("never mix two axes in one picture", async () => {
    panels.show("x", 400);
    await answered();
    panels.look({ ...VIEW, x: "rel" });
    panels.look({ ...VIEW, x: "rel", runs: ["b"] });
    expect(drawn("x")).toEqual([]);
    await answered();
    expect(drawn("x")).toEqual(["b"]);
  });

  it("mark the frame in which all that is in view is drawn, once for each change", async () => {
    const marked = vi.spyOn(performance, "mark");
    const views = (): unknown[] =>
      marked.mock.calls.flatMap(([name, { detail } = {}]) => (name === "buoy:view-drawn" ? [detail] : []));
    for (const key of ["x", "y"]) panels.show(key, 400);
    await answered();
    await vi.advanceTimersByTimeAsync(20);
    panels.look({ ...VIEW, range: [0, 1] });
    await vi.advanceTimersByTimeAsync(0);
    await answered();
    await vi.advanceTimersByTimeAsync(20);
    panels.look({ ...VIEW, range: [0, 1], runs: ["b"] });
    await answered();
    await vi.advanceTimersByTimeAsync(2000);
    expect(views()).toEqual([
      { panels: 2, runs: 2 },
      { panels: 2, runs: 2 },
      { panels: 2, runs: 1 },
    ]);
    marked.mockRestore();
  });

  it("tell why the server refused, keep the picture, and ask again", async () => {
    panels.show("x", 400);
    await answered();
    refuse = true;
    panels.changed(null);
    await vi.advanceTimersByTimeAsync(1000);
    await answered();
    expect(panels.panel("x").error.value).toBe("no");
    expect(drawn("x")).toEqual(["a", "b"]);
    refuse = false;
    panels.retry();
    await answered();
    expect(panels.panel("x").error.value).toBeNull();
    expect(runsOf(2)).toEqual([["a", "b"]]);
  });

  it("draw nothing, and ask for nothing, while no run is looked at", async () => {
    panels.look({ ...VIEW, runs: [] });
    panels.show("x", 400);
    await answered();
    expect(asked).toEqual([]);
    expect(panels.panel("x").plan?.lines).toEqual([]);
  });
});
