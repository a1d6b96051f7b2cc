/** The main job, end to end: a process logs, and the page shows the point. Latency is printed, never asserted. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Logger, launch, Server } from "./harness.ts";

const POINTS = 50;
const KEY = "train/loss";

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await Server.start();
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

type Hook = { lastX(run: string, key: string): number | null };

/** Resolves, in the page, with the time (unix ms) of the frame whose canvas shows `step` and looks different. */
function seen(page: Page, run: string, step: number): Promise<{ at: number; changed: boolean }> {
  return page.evaluate(
    ([id, key, x]) =>
      new Promise<{ at: number; changed: boolean }>((done, failed) => {
        const hook = (window as unknown as { __buoy: Hook }).__buoy;
        const canvas = document.querySelector("figure canvas") as HTMLCanvasElement;
        const pixels = (): string => canvas.toDataURL();
        const before = pixels();
        const end = performance.now() + 30_000;
        const look = (): void => {
          const last = hook.lastX(id, key);
          if (last !== null && last >= x) {
            done({ at: performance.timeOrigin + performance.now(), changed: pixels() !== before });
          } else if (performance.now() > end) failed(new Error(`step ${x} did not appear, last is ${last}`));
          else requestAnimationFrame(look);
        };
        look();
      }),
    [run, KEY, step] as const,
  );
}

/** Waits until the chart's newest point is the one of `step`. */
async function drawn(page: Page, run: string, step: number): Promise<void> {
  await page.waitForFunction(
    ([id, key, x]) => (window as unknown as { __buoy: Hook }).__buoy.lastX(id, key) === x,
    [run, KEY, step] as const,
  );
}

async function openRun(logger: Logger): Promise<{ page: Page; run: string }> {
  const { id, entity, project } = await logger.tell({ init: { project: "live", name: "live-test" } });
  await logger.tell({ log: { [KEY]: 1 } });
  await server.until<{ n: number }>(`api/v1/p/${entity}:${project}/runs/${id}`, () => true);
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(server.link(`${entity}/${project}/runs/${id}`));
  await drawn(page, id, 0);
  return { page, run: id };
}

const at = (sorted: number[], share: number): number =>
  sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;

it(`shows each of ${POINTS} points that a process logs`, async () => {
  const logger = server.logger();
  const { page, run } = await openRun(logger);
  const latencies: number[] = [];
  for (let step = 1; step <= POINTS; step++) {
    const shown = seen(page, run, step);
    const { after } = await logger.tell({ log: { [KEY]: Math.exp(-step / 20) + (step % 7) / 20 } });
    const { at: when, changed } = await shown;
    expect(changed, `the canvas looks different after step ${step}`).toBe(true);
    latencies.push(when - after * 1000);
    // Points come at uneven times, so that no phase of any timer is favoured.
    await new Promise((next) => setTimeout(next, 200 + ((step * 137) % 300)));
  }
  const sorted = latencies.toSorted((a, b) => a - b);
  const text = [0.5, 0.95, 1].map((share) => at(sorted, share).toFixed(0));
  console.log(
    `log() to pixel over ${POINTS} points: p50 ${text[0]} ms, p95 ${text[1]} ms, max ${text[2]} ms`,
  );
  expect(latencies).toHaveLength(POINTS);
  const marks = await page.evaluate(() => performance.getEntriesByName("buoy:live-drawn").length);
  expect(marks).toBeGreaterThanOrEqual(POINTS);
});

it("keeps what it shows while the server is away, says so, and catches up by itself", async () => {
  const logger = server.logger();
  const { id, entity, project } = await logger.tell({ init: { project: "away", name: "away-test" } });
  await logger.tell({ log: { [KEY]: 1 } });
  await server.until(`api/v1/p/${entity}:${project}/runs/${id}`, () => true);
  const page = await browser.newPage();
  await page.goto(server.link(`${entity}/${project}/runs/${id}`));
  await drawn(page, id, 0);
  await server.pause();
  await page.waitForSelector('[data-water="lost"]');
  expect(await page.locator("figure canvas").count()).toBe(1);
  expect(await page.locator("h1").textContent()).toContain("away-test");
  await logger.tell({ log: { [KEY]: 2 } });
  await server.resume();
  await drawn(page, id, 1);
  await page.waitForSelector('[data-water="live"]');
  await page.close();
});
