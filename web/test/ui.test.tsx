import { signal } from "@preact/signals";
import { type JSX, render } from "preact";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Run, RunState } from "../src/data/types.ts";
import { plan } from "../src/plot/plan.ts";
import type { RunPage } from "../src/state/run.ts";
import { t } from "../src/strings.ts";
import { Boundary } from "../src/ui/boundary.tsx";
import { DayMark } from "../src/ui/day-mark.tsx";
import { notes } from "../src/views/chart-panel.tsx";
import { Overview } from "../src/views/overview.tsx";
import { buckets, raw } from "./series.ts";

let host: HTMLElement;
beforeEach(() => {
  host = document.createElement("div");
  document.body.append(host);
});
afterEach(() => {
  render(null, host);
  host.remove();
});

describe("day-marks", () => {
  const states = Object.keys(t.states) as RunState[];

  it("have a name each, and a shape that no other state has", () => {
    const shapes = states.map((state) => {
      render(<DayMark state={state} />, host);
      expect(host.querySelector("title")?.textContent).toBe(t.states[state]);
      const svg = host.querySelector("svg")?.innerHTML ?? "";
      return svg.replace(/<title>.*<\/title>/, "");
    });
    expect(new Set(shapes).size).toBe(states.length);
  });

  it("show a state of a newer server by its word", () => {
    render(<DayMark state={"preempted" as RunState} />, host);
    expect(host.querySelector("title")?.textContent).toBe("preempted");
  });
});

describe("boundary", () => {
  it("keeps an error to its part and says what it was", async () => {
    const Broken = (): JSX.Element => {
      throw new Error("no such column");
    };
    render(
      <>
        <p>rest</p>
        <Boundary>
          <Broken />
        </Boundary>
      </>,
      host,
    );
    expect(host.textContent).toContain("rest");
    await expect
      .poll(() => host.querySelector("[role=alert]")?.textContent ?? "")
      .toContain("no such column");
  });
});

describe("overview", () => {
  it("tells missing records, dropped ones, aggregates and attempts", () => {
    const run: Run = {
      id: "a1",
      entity: "local",
      project: "p",
      name: "n",
      notes: null,
      tags: ["x", "y"],
      group: null,
      job_type: null,
      state: "crashed",
      exit_code: 137,
      created_us: 1e15,
      started_us: 1e15,
      ended_us: 1e15 + 9e6,
      heartbeat_us: null,
      rev: 1,
      archived: false,
      edit_tag: "e",
      metrics: [],
      config: {},
      summary: { "val/acc": { min: 0.1, max: 0.98765432 }, loss: { $float: "nan" } },
      metadata: {},
      fork: { run: "base", step: 1200 },
      attempts: [{ attempt: 2, started_us: null, first_step: null, state: "crashed" }],
      writers: [
        {
          id: "w",
          rank: 1,
          local_rank: 0,
          world_size: 2,
          host: "n1",
          pid: 12,
          state: "crashed",
          exit_code: null,
          last_step: 12345,
          started_us: null,
          ended_us: null,
          records_dropped: 7,
          attempt: 2,
          logged_us: 1e15,
          seen_us: null,
          backlog_bytes: 1536,
          mark: "lost",
        },
      ],
      stop: { requested_us: 1e15, via: "cli", by: "ada@laptop", open: false },
      machines: [
        { host: "node7", attempt: 2, rank: 0, seen_us: 1e15, missing_us: 1.1e15, backlog_records: 1234 },
      ],
      gaps: [],
      events: [],
    };
    // Without keys there is no curve to ask for, without a baseline nothing beside the config.
    const nothing = signal(null);
    const page = { keys: nothing, base: nothing, baseRun: nothing, baseError: nothing } as unknown as RunPage;
    render(<Overview run={run} page={page} />, host);
    expect([...host.querySelectorAll(`button[aria-label^="Remove tag"]`)]).toHaveLength(2);
    const text = host.textContent ?? "";
    for (const part of [
      "NaN",
      "Forked frombase at step 1\u2009200",
      "min 0.1",
      "max 0.98765",
      "137",
      "9.0 s",
      "12\u2009345",
      "node7",
      "missing",
      "by `buoy stop` (ada@laptop)",
    ]) {
      expect(text).toContain(part);
    }
    expect(text).toContain(t.overview.noConfig);
  });
});

describe("notes of a chart", () => {
  it("say what was reduced and what is missing, the missing first", () => {
    expect(notes(plan([raw([0, 1], [1, 2])], "step"), 0, "step")).toEqual([]);
    expect(notes(plan([raw([0, 1], [1, Number.NaN])], "step"), 2, "step")).toEqual([
      "1 NaN or ±Inf",
      "2 ≤ 0 not drawn",
    ]);
    expect(notes(plan([buckets(6, [1, Number.NaN, 2])], "step"), 0, "step")).toEqual([
      "≥ 4 NaN or ±Inf",
      "mean of 64 steps, shade min–max",
    ]);
    expect(notes(plan([buckets(3, [1, 2])], "rel"), 0, "rel")).toEqual(["mean of 8.0 s, shade min–max"]);
    expect(notes(plan([buckets(0, [1, 2])], "step"), 0, "step")).toEqual([]);
  });
});
