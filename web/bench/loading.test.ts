/** How a project with a thousand runs, and one with twenty thousand keys, come up (B1 to B7, B15, B16). */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launch, REPOSITORY, type Server } from "../e2e/harness.ts";
import { datasets } from "./data.ts";
import { median, quantile, report } from "./report.ts";
import { perEvent, traced } from "./trace.ts";
import { Visit } from "./visit.ts";

const ROUNDS = 5;
const IDLE_MS = 10_000;

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

interface Chunk {
  readonly file: string;
  readonly isEntry?: boolean;
  readonly imports?: readonly string[];
  readonly css?: readonly string[];
}

it("B1 what is loaded before the first paint", () => {
  const folder = join(REPOSITORY, "server/buoy_server/static");
  const manifest = JSON.parse(readFileSync(join(folder, ".vite/manifest.json"), "utf8")) as Record<
    string,
    Chunk
  >;
  const first = new Set<string>();
  const need = (name: string): void => {
    const chunk = manifest[name];
    if (chunk === undefined || first.has(chunk.file)) return;
    first.add(chunk.file);
    for (const css of chunk.css ?? []) first.add(css);
    for (const other of chunk.imports ?? []) need(other);
  };
  for (const [name, chunk] of Object.entries(manifest)) if (chunk.isEntry === true) need(name);
  const size = (file: string): number =>
    gzipSync(readFileSync(join(folder, file)), { level: 9 }).length / 1000;
  const sum = (suffix: string): number =>
    [...first].filter((file) => file.endsWith(suffix)).reduce((total, file) => total + size(file), 0);
  const gate = { budget: "B1", unit: "kB", kind: "gate" } as const;
  report({ ...gate, what: "JavaScript, gzip", figure: sum(".js"), target: 100 });
  report({ ...gate, what: "style, gzip", figure: sum(".css"), target: 15 });
  const assets = readdirSync(join(folder, "assets"));
  // Faces for other scripts load only where a page has their letters.
  const fonts = assets.filter((name) => name.endsWith(".woff2") && !name.includes("latin-ext"));
  const fontBytes = fonts.reduce(
    (total, name) => total + readFileSync(join(folder, "assets", name)).length,
    0,
  );
  report({ ...gate, what: "fonts", figure: fontBytes / 1000, target: 55 });
  const lazy = assets.filter((name) => name.endsWith(".js") && !first.has(`assets/${name}`));
  const largest = Math.max(0, ...lazy.map((name) => size(`assets/${name}`)));
  report({ ...gate, what: "largest chunk that is loaded later, gzip", figure: largest, target: 320 });
});

it("B2 to B5 the workspace of W1", async () => {
  const requests: number[] = [];
  const [first, all, blocked]: [number[], number[], number[]] = [[], [], []];
  let foreign = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const visit = await Visit.begin(browser, server);
    await visit.go("local/w1");
    const drawn = await visit.drawn();
    const chart = (await visit.marks("buoy:first-chart"))[0] ?? Number.NaN;
    const { blocked: long } = await visit.kept();
    const asked = await visit.page.evaluate(
      (until) => performance.getEntriesByType("resource").filter(({ startTime }) => startTime < until).length,
      chart,
    );
    requests.push(1 + asked);
    first.push(chart);
    all.push(drawn);
    blocked.push(long.filter(([at]) => at < drawn).reduce((sum, [, ms]) => sum + Math.max(0, ms - 50), 0));
    foreign += visit.sent.filter(({ url }) => !url.startsWith(server.base)).length;
    await visit.end();
  }
  expect(foreign, "requests to elsewhere").toBe(0);
  const cold = (values: number[]): string =>
    `first visit after the server's start ${(values[0] ?? 0).toFixed(0)}`;
  report({
    budget: "B2",
    what: "requests before the first chart",
    figure: median(requests),
    target: 8,
    unit: "",
    kind: "gate",
  });
  report({
    budget: "B4",
    what: "first chart of W1",
    figure: median(first),
    target: 800,
    unit: "ms",
    kind: "gate",
    note: cold(first),
  });
  report({
    budget: "B5",
    what: "all charts of W1 in view",
    figure: median(all),
    target: 1200,
    unit: "ms",
    kind: "gate",
    note: cold(all),
  });
  report({
    budget: "B5",
    what: "total blocking time until then",
    figure: median(blocked),
    target: 200,
    unit: "ms",
    kind: "gate",
    note: cold(blocked),
  });
});

it("B3 first contentful paint of every page", async () => {
  const pages = ["", "local/w1", "local/w1/runs", "local/w1/runs/r000001"];
  for (const path of pages) {
    const painted: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const visit = await Visit.begin(browser, server);
      await visit.go(path);
      const found = await visit.page.waitForFunction(
        () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
      );
      painted.push((await found.jsonValue()) ?? Number.NaN);
      await visit.end();
    }
    report({
      budget: "B3",
      what: `first contentful paint of /${path}`,
      figure: median(painted),
      target: 250,
      unit: "ms",
      kind: "tracked",
    });
  }
});

it("B6 the workspace of W1, back from a run page", async () => {
  const taken: number[] = [];
  const visit = await Visit.begin(browser, server);
  await visit.go("local/w1");
  await visit.drawn();
  for (let round = 0; round < ROUNDS; round++) {
    const before = await visit.now();
    await visit.page.locator('a[href*="/runs/r00"]').first().click();
    await visit.page.waitForFunction(() => location.pathname.includes("/runs/"));
    await visit.page.locator("h1").first().waitFor();
    await visit.page.goBack();
    const drawn = await visit.drawn(before);
    taken.push(drawn - (await visit.kept()).popped);
  }
  await visit.end();
  report({
    budget: "B6",
    what: "all charts in view, back from a run page",
    figure: median(taken),
    target: 150,
    unit: "ms",
    kind: "tracked",
  });
});

it("B7 the workspace of W2, and its search", async () => {
  const drawn: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const visit = await Visit.begin(browser, server);
    await visit.go("local/w2");
    drawn.push(await visit.drawn());
    await visit.end();
  }
  report({
    budget: "B7",
    what: "list and first charts of 20,000 keys",
    figure: median(drawn),
    target: 1000,
    unit: "ms",
    kind: "gate",
  });
  const visit = await Visit.begin(browser, server);
  await visit.go("local/w2");
  await visit.drawn();
  await visit.page.keyboard.press("/");
  const spans = await traced(visit.page, async () => {
    for (const letter of "layer0(4|7)2.*weight1[13]$") {
      await visit.page.keyboard.type(letter);
      await visit.page.waitForTimeout(120);
    }
  });
  const strokes = perEvent(spans, "input");
  await visit.end();
  expect(strokes.length, "key strokes that were traced").toBeGreaterThan(20);
  const worst = `median ${median(strokes).toFixed(1)}, worst ${Math.max(...strokes).toFixed(1)}`;
  report({
    budget: "B7",
    what: "a key stroke of the key search, p95",
    figure: quantile(strokes, 0.95),
    target: 16,
    unit: "ms",
    kind: "gate",
    note: worst,
  });
});

it("B15 a page of finished runs that nobody touches", async () => {
  const visit = await Visit.begin(browser, server);
  await visit.go("local/w1?filter=state:finished");
  await visit.drawn();
  await visit.page.waitForTimeout(2000);
  const [from, before] = [Date.now(), (await visit.metrics()).TaskDuration ?? 0];
  await visit.page.waitForTimeout(IDLE_MS);
  const busy = ((await visit.metrics()).TaskDuration ?? 0) - before;
  const asked = visit.sent.filter(({ at }) => at >= from).length;
  await visit.end();
  report({
    budget: "B15",
    what: "requests a minute of an idle page",
    figure: (asked * 60_000) / IDLE_MS,
    target: 5,
    unit: "",
    kind: "gate",
  });
  report({
    budget: "B15",
    what: "main thread in 10 s of an idle page",
    figure: busy * 1000,
    target: 50,
    unit: "ms",
    kind: "gate",
  });
});

it("B16 memory after scrolling through all charts of W1", async () => {
  const visit = await Visit.begin(browser, server);
  await visit.go("local/w1");
  await visit.drawn();
  const height = await visit.page.evaluate(() => document.documentElement.scrollHeight);
  for (const direction of [1, -1]) {
    for (let at = 0; at < height; at += 600) {
      await visit.page.mouse.move(900, 600);
      await visit.page.mouse.wheel(0, 600 * direction);
      await visit.page.waitForTimeout(150);
      await visit.page.waitForFunction(() => document.querySelectorAll("figure canvas").length > 0);
    }
    await visit.page.waitForTimeout(2000);
  }
  const { heap, nodes, canvases } = await visit.memory();
  await visit.end();
  const gate = { budget: "B16", kind: "gate" } as const;
  report({ ...gate, what: "heap of the page after it", figure: heap / 1e6, target: 150, unit: "MB" });
  report({ ...gate, what: "nodes of the page", figure: nodes, target: 3000, unit: "" });
  report({ ...gate, what: "canvases", figure: canvases, target: 32, unit: "" });
});
