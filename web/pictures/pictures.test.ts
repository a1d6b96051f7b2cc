/** Makes the pictures of README and docs: a server, real runs, the pages in both themes. `make screenshots` runs it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, PYTHON, Server } from "../e2e/harness.ts";

const FOLDER = process.env.BUOY_PICTURES ?? resolve(import.meta.dirname, "../../docs/images");
const SIZE = { width: 1280, height: 800 };

let server: Server;
let browser: Browser;
let stop: () => Promise<void>;

beforeAll(async () => {
  mkdirSync(FOLDER, { recursive: true });
  server = await Server.start();
  browser = await launch();
  const child = spawn(PYTHON, [join(import.meta.dirname, "demo_runs.py")], {
    cwd: server.folder,
    env: server.environment(),
    stdio: ["pipe", "pipe", "ignore"],
  });
  stop = async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, "exit");
  };
  await once(createInterface({ input: child.stdout }), "line");
  const body = JSON.stringify({ columns: ["state"], limit: 100 });
  await server.until<{ total: number; columns: { state: string[] } }>(
    "api/v1/p/local:tiny-gpt/runs:query",
    ({ total, columns }) => total === 12 && columns.state.filter((state) => state === "running").length === 1,
    { method: "POST", body },
  );
});
afterAll(async () => {
  await browser?.close();
  await stop?.();
  await server?.stop();
});

/** Moves the pointer into the chart of a metric, so that crosshair and tooltip are in the picture. */
async function point(page: Page, name: string, share: number): Promise<void> {
  const box = await page.locator("figure", { hasText: name }).first().locator(".u-over").boundingBox();
  if (box === null) throw new Error(`no chart of ${name}`);
  await page.mouse.move(box.x + box.width * share, box.y + box.height * 0.35);
}

const PICTURES: readonly {
  name: string;
  path: string;
  ready: string;
  act?: (page: Page) => Promise<void>;
}[] = [
  {
    name: "workspace",
    path: "local/tiny-gpt?base=adamw-1&pin=muon-9,adamw-1&keys=val/loss,train/loss&fold=perf&logy=1",
    ready: 'figure [role=img][aria-label*=": 12 run"]',
    act: (page) => point(page, "train/loss", 0.3),
  },
  {
    name: "run",
    path: "local/tiny-gpt/runs/muon-11",
    ready: "figure canvas",
    act: (page) => point(page, "train/loss", 0.6),
  },
  // What does not differ has the folders of whoever makes the pictures in it.
  {
    name: "compare",
    path: "local/tiny-gpt/compare?runs=adamw-1,lion-5,muon-9&base=adamw-1&diff=1",
    ready: "text=optimizer",
  },
];

describe.each(["light", "dark"] as const)("in %s", (theme) => {
  it.each(PICTURES)("$name", async ({ name, path, ready, act }) => {
    const context = await browser.newContext({ viewport: SIZE, colorScheme: theme, reducedMotion: "reduce" });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    await page.goto(server.link(path));
    await page.locator(ready).first().waitFor();
    await page.waitForLoadState("networkidle").catch(() => undefined);
    await page.evaluate(() => document.fonts.ready);
    await act?.(page);
    // Two frames: one in which the page hears of the pointer, one that it draws.
    await page.evaluate(
      () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
    );
    const picture = await page.screenshot({ path: join(FOLDER, `${name}-${theme}.png`) });
    expect([picture.readUInt32BE(16), picture.readUInt32BE(20)]).toEqual([SIZE.width, SIZE.height]);
    await context.close();
  });
});
