/** One series of ten million points: the first look at it, and the way down to what was logged (B8, B9). */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launch, type Server } from "../e2e/harness.ts";
import type { Plan } from "../src/plot/plan.ts";
import { datasets } from "./data.ts";
import { median, report } from "./report.ts";
import { Visit } from "./visit.ts";

const ROUNDS = 5;
const ZOOMS = 9;

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

const plan = (page: Page): Promise<{ points: number; buckets: boolean } | null> =>
  page.evaluate(() => {
    const hook = (window as unknown as { __buoy: { plan(key: string): Plan | null } }).__buoy;
    const line = hook.plan("loss")?.lines[0];
    return line === undefined ? null : { points: line.x.length, buckets: line.band !== null };
  });

it("B8 from the click on a project to a picture of ten million points", async () => {
  const [taken, bytes]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    const visit = await Visit.begin(browser, server);
    await visit.go("");
    const link = visit.page.locator('a[href$="local/w3"]').first();
    await link.waitFor();
    const answer = visit.page.waitForResponse((response) => response.url().endsWith("/series:query"));
    taken.push(await visit.untilDrawn("click", () => link.click()));
    bytes.push((await (await answer).body()).length);
    await visit.end();
  }
  const note = `first look after the server's start ${(taken[0] ?? 0).toFixed(0)}`;
  report({
    budget: "B8",
    what: "click to picture of 10,000,000 points",
    figure: median(taken),
    target: 200,
    unit: "ms",
    kind: "gate",
    note,
  });
  report({
    budget: "B8",
    what: "bytes of its series",
    figure: median(bytes) / 1000,
    target: 20,
    unit: "kB",
    kind: "gate",
  });
});

it("B9 zooming in until what was logged is drawn", async () => {
  const visit = await Visit.begin(browser, server);
  await visit.go("local/w3");
  await visit.drawn();
  const taken: number[] = [];
  const box = await visit.page.locator("figure .u-over").first().boundingBox();
  if (box === null) throw new Error("no chart");
  for (let zoom = 0; zoom < ZOOMS && (await plan(visit.page))?.buckets !== false; zoom++) {
    await visit.page.mouse.move(box.x + box.width * 0.3, box.y + box.height / 2);
    await visit.page.mouse.down();
    await visit.page.mouse.move(box.x + box.width * 0.5, box.y + box.height / 2, { steps: 4 });
    taken.push(await visit.untilDrawn("mouseup", () => visit.page.mouse.up()));
  }
  const last = await plan(visit.page);
  await visit.end();
  expect(last?.buckets, "raw points at the end of the zooms").toBe(false);
  const note = taken.map((ms) => ms.toFixed(0)).join(" ");
  report({
    budget: "B9",
    what: `the slowest of ${taken.length} zooms`,
    figure: Math.max(...taken),
    target: 120,
    unit: "ms",
    kind: "gate",
    note,
  });
});
