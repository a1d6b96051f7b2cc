/** Zooming, pointing, eyes and smoothing in a workspace that is full of lines (B10 to B12). */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launch, type Server } from "../e2e/harness.ts";
import { datasets } from "./data.ts";
import { median, quantile, report } from "./report.ts";
import { frames, spent, tasks, traced } from "./trace.ts";
import { Visit } from "./visit.ts";

const ROUNDS = 5;
const MOVES = 80;

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await datasets();
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

async function plotBox(page: Page): Promise<{ x: number; y: number; width: number; height: number }> {
  const box = await page.locator("figure .u-over").nth(1).boundingBox();
  if (box === null) throw new Error("no chart");
  return box;
}

it("B10 zooming in all charts of 100 runs at once", async () => {
  const visit = await Visit.begin(browser, server);
  await visit.go("local/w1?filter=seed<100&robust=1");
  await visit.drawn();
  const { x, y, width, height } = await plotBox(visit.page);
  const settled: number[] = [];
  const spans = await traced(visit.page, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await visit.page.mouse.move(x + width * 0.2, y + height / 2);
      await visit.page.mouse.down();
      await visit.page.mouse.move(x + width * 0.8, y + height / 2, { steps: 30 });
      settled.push(await visit.untilDrawn("mouseup", () => visit.page.mouse.up()));
    }
  });
  await visit.end();
  const gate = { budget: "B10", unit: "ms", kind: "gate" } as const;
  const long = Math.max(...tasks(spans).map(({ length }) => length));
  report({
    ...gate,
    what: "main thread a frame while zooming, p95",
    figure: quantile(frames(spans), 0.95),
    target: 8,
  });
  report({ ...gate, what: "longest task", figure: long, target: 50 });
  report({
    ...gate,
    what: "until all charts show the new window",
    figure: median(settled),
    target: 150,
    note: `worst ${Math.max(...settled).toFixed(0)}`,
  });
});

it("B11 the pointer over a chart of 1,000 runs", async () => {
  const visit = await Visit.begin(browser, server);
  await visit.go("local/w1");
  await visit.drawn();
  const { x, y, width, height } = await plotBox(visit.page);
  await visit.page.mouse.move(x + 5, y + height / 2);
  await visit.page.waitForTimeout(500);
  const strokes = (await visit.kept()).strokes;
  const spans = await traced(visit.page, async () => {
    for (let move = 0; move < MOVES; move++) {
      await visit.page.mouse.move(
        x + 10 + ((width - 20) * move) / MOVES,
        y + height * (0.3 + 0.4 * (move % 2)),
      );
      await visit.page.waitForTimeout(40);
    }
  });
  const redrawn = (await visit.kept()).strokes - strokes;
  await visit.end();
  const moves = spans.filter(({ name, type }) => name === "EventDispatch" && type === "mousemove");
  expect(moves.length, "moves that were traced").toBeGreaterThan(MOVES / 2);
  // Script from one move to the next: its listeners, and what they have put off to the next frame.
  const taken = moves.map(({ start }, i) => {
    const until = moves[i + 1]?.start ?? Number.POSITIVE_INFINITY;
    const meant = spans.filter((span) => span.start >= start && span.start < Math.min(until, start + 40));
    return spent(meant, ["EventDispatch", "FireAnimationFrame", "TimerFire", "FunctionCall"]);
  });
  const gate = { budget: "B11", kind: "gate" } as const;
  report({
    ...gate,
    what: "script from the pointer to crosshair and tooltip, p95",
    figure: quantile(taken, 0.95),
    target: 4,
    unit: "ms",
    note: `median ${median(taken).toFixed(1)}`,
  });
  report({ ...gate, what: "strokes on canvases meanwhile", figure: redrawn, target: 0, unit: "" });
});

it("B12 closing and opening an eye in W1", async () => {
  const visit = await Visit.begin(browser, server);
  await visit.go("local/w1");
  await visit.drawn();
  const eye = visit.page.getByRole("listitem").nth(2).getByRole("button", { pressed: true }).first();
  await eye.waitFor();
  const since = Date.now();
  const taken: number[] = [];
  const row = visit.page.getByRole("listitem").nth(2).getByRole("button").first();
  for (let round = 0; round < ROUNDS; round++) taken.push(await visit.untilDrawn("click", () => row.click()));
  const asked = visit.queries(since);
  await visit.end();
  const gate = { budget: "B12", kind: "gate" } as const;
  report({
    ...gate,
    what: "charts after a click on an eye",
    figure: median(taken),
    target: 100,
    unit: "ms",
    note: `worst ${Math.max(...taken).toFixed(0)}`,
  });
  report({ ...gate, what: "series:query requests for it", figure: asked, target: 0, unit: "" });
});
