/** One line panel and its controls, in a real browser: every figure on the canvas against what was logged. */
import { readFile } from "node:fs/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Feeder, type Row } from "./feeder.ts";
import { launch, Server } from "./harness.ts";
import { CORNERS, look } from "./look.ts";
import { type Drawn, linesOf, placeOf, settled } from "./picture.ts";

const SLOWLY = { timeout: 60_000 };
const POINTS = 120;
const STEP = 3;
/** The smallest power of two above the last step. */
const SPAN = 512;

let server: Server;
let browser: Browser;
let feeder: Feeder;

const lossOf = (run: number, i: number): number => 2 * Math.exp(-i / 40) + run / 4 + Math.sin(i * 1.7) / 5;

beforeAll(async () => {
  server = await Server.start();
  browser = await launch();
  feeder = new Feeder(server);
  for (const run of [0, 1, 2, 3]) {
    const rows = Array.from({ length: POINTS }, (_, i): Row => {
      const odd = i === 30 ? "NaN" : i === 40 ? "Infinity" : i === 50 ? "-Infinity" : i - 10;
      return [i * STEP, { loss: lossOf(run, i), tokens: 32 * i * STEP, odd }];
    });
    const config = { opt: run < 2 ? "adam" : "sgd", lr: 0.1 };
    await feeder.put({ project: "sea", run: `s${run}`, rows, config, start_s: run * 60, end: true });
  }
});
afterAll(async () => {
  await feeder?.stop();
  await browser?.close();
  await server?.stop();
});

async function open(query: string, runs = 4): Promise<{ page: Page; close: () => Promise<void> }> {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(server.link(`local/sea${query}`));
  await settled(page, runs);
  return { page, close: () => context.close() };
}

const word = (page: Page, name: string): string | null => new URL(page.url()).searchParams.get(name);

/** The line of a run, once it is as wanted. */
async function lineWhen(
  page: Page,
  key: string,
  run: string,
  like: (line: Drawn) => boolean,
): Promise<Drawn> {
  let found: Drawn | undefined;
  const seen = async (): Promise<boolean> => {
    found = (await linesOf(page, key)).find((line) => line.run === run);
    return found !== undefined && like(found);
  };
  await expect.poll(seen, SLOWLY).toBe(true);
  return found as Drawn;
}

const close = (a: readonly number[], b: readonly number[]): void => {
  expect(a).toHaveLength(b.length);
  for (const [i, v] of a.entries()) expect(v, `point ${i}`).toBeCloseTo(b[i] ?? Number.NaN, 9);
};

/** The formulas, point by point and without any cleverness. */
const SMOOTHED: Record<string, (y: readonly number[], s: number) => number[]> = {
  twema(y, s) {
    const weight = Math.min(Math.sqrt(s), 0.999) ** ((STEP / SPAN) * 1000);
    let [sum, weights] = [0, 0];
    return y.map((v, i) => {
      const a = i === 0 ? 1 : weight;
      sum = sum * a + v;
      weights = weights * a + 1;
      return sum / weights;
    });
  },
  ema(y, s) {
    let last = 0;
    return y.map((v, i) => {
      last = last * s + (1 - s) * v;
      return last / (1 - s ** (i + 1));
    });
  },
  gaussian(y, s) {
    return y.map((_, i) => {
      let [sum, weights] = [0, 0];
      for (const [k, v] of y.entries()) {
        if (Math.abs(i - k) > 3 * s) continue;
        const weight = Math.exp(-((i - k) ** 2) / (2 * s * s));
        sum += weight * v;
        weights += weight;
      }
      return sum / weights;
    });
  },
  running(y, s) {
    const reach = Math.floor(s / 2);
    return y.map((_, i) => {
      const near = y.slice(Math.max(0, i - reach), i + reach + 1);
      return near.reduce((sum, v) => sum + v, 0) / near.length;
    });
  },
};

describe("a line panel", () => {
  it.each([
    ["twema", "Time-weighted", 0.6],
    ["ema", "Exponential", 0.6],
    ["gaussian", "Gaussian", 5],
    ["running", "Running mean", 21],
  ] as const)("smooths: %s", async (kind, name, s) => {
    const { page, close: end } = await open("?q=^loss$");
    await page.getByRole("combobox", { name: "Smoothing", exact: true }).selectOption(name);
    const logged = Array.from({ length: POINTS }, (_, i) => lossOf(1, i));
    const line = await lineWhen(page, "loss", "s1", (now) => now.raw !== null);
    close(line.raw ?? [], logged);
    close(line.y, SMOOTHED[kind]?.(logged, s) ?? []);
    await expect.poll(() => word(page, "smooth"), SLOWLY).toBe(`${kind}:${s}`);
    await page.getByText(`${name} `).last().waitFor();
    // The curve does not depend on the window: only that part of it comes.
    await page.goto(`${server.base}/local/sea?q=^loss$&smooth=${kind}:${s}&zoom=step:100..200`);
    const part = await lineWhen(page, "loss", "s1", (now) => now.raw !== null && now.x.length < POINTS);
    close(
      part.y,
      part.x.map((x) => line.y[line.x.indexOf(x)] ?? Number.NaN),
    );
    await page.keyboard.press("Control+z");
    await end();
  });

  it("is over another key, or time", async () => {
    const { page, close: end } = await open("?q=^loss$");
    await page.getByRole("combobox", { name: "x axis", exact: true }).selectOption("Another key…");
    await page.getByLabel("Key as x axis").fill("tokens");
    const line = await lineWhen(page, "loss", "s2", (now) => now.x[1] === 32 * STEP);
    close(
      line.y,
      line.x.map((x) => lossOf(2, x / 32 / STEP)),
    );
    await expect.poll(() => word(page, "x"), SLOWLY).toBe("key:tokens");
    await page.keyboard.press("Control+z");
    await lineWhen(page, "loss", "s2", (now) => now.x[1] === STEP);
    await end();
  });

  it("makes one line of the runs that have something in common", async () => {
    const { page, close: end } = await open("?q=^loss$");
    await page.locator("#group-runs").click();
    await page.keyboard.type("config.opt");
    await page.keyboard.press("Enter");
    const adam = await lineWhen(page, "loss", '["adam"]', (now) => now.votes !== null);
    const middle = adam.y.length >> 1;
    expect(adam.votes?.[middle]).toBe(2);
    const both = (of: (v: number) => number): number => {
      const width = adam.width ?? 1;
      const bucket = Math.floor((adam.x[middle] ?? 0) / width);
      const inside = Array.from({ length: POINTS }, (_, i) => i).filter(
        (i) => Math.floor((i * STEP) / width) === bucket,
      );
      const mean = (run: number): number =>
        inside.reduce((sum, i) => sum + lossOf(run, i), 0) / inside.length;
      return of(mean(0)) + of(mean(1));
    };
    const mean = both((v) => v) / 2;
    const std = Math.sqrt(both((v) => (v - mean) ** 2) / 2);
    expect(adam.y[middle]).toBeCloseTo(mean, 9);
    expect([adam.low[middle], adam.high[middle]]).toEqual([
      expect.closeTo(mean - std, 9),
      expect.closeTo(mean + std, 9),
    ]);
    const { window } = await placeOf(page, "loss", adam.x[middle] ?? 0, adam.y[middle] ?? 0);
    await page.mouse.move(...window);
    await page.locator("figure").getByText("n 2 of 2").first().waitFor();
    await page.getByText("2 groups of 4 runs").waitFor();
    await page.getByLabel("Band").selectOption("none");
    await lineWhen(page, "loss", '["adam"]', (now) => now.low[middle] === now.y[middle]);
    await expect.poll(() => [word(page, "group"), word(page, "band")].join(), SLOWLY).toBe("config.opt,none");
    await end();
  });

  it("marks what has no height, and counts what log axes cannot show", async () => {
    const { page, close: end } = await open("?q=^odd$");
    const line = await lineWhen(page, "odd", "s0", () => true);
    expect(line.bad).toEqual([
      [90, "NaN"],
      [120, "Infinity"],
      [150, "-Infinity"],
    ]);
    await page.getByText("12 NaN or ±Inf").waitFor();
    await page.getByLabel("y axis").selectOption("Log");
    await page.getByText("44 ≤ 0 not drawn").waitFor();
    await page.getByLabel("y axis").selectOption("Symlog");
    await page.getByText("not drawn").waitFor({ state: "detached" });
    const [minus, zero, plus] = await Promise.all(
      [-10, 0, 10].map(async (y) => (await placeOf(page, "odd", 30, y)).canvas[1]),
    );
    expect((minus ?? 0) - (zero ?? 0)).toBeCloseTo((zero ?? 0) - (plus ?? 0), 3);
    await page.keyboard.press("Shift+L");
    await page.getByText("4 at x ≤ 0 not drawn").waitFor();
    await end();
  });

  it("is zoomed along x, along y, both, on its axis, and panned", async () => {
    const { page, close: end } = await open("?q=^loss$");
    const box = await page.locator("figure .u-over").boundingBox();
    if (box === null) throw new Error("no chart");
    const drag = async (from: [number, number], to: [number, number]): Promise<void> => {
      await page.mouse.move(box.x + box.width * from[0], box.y + box.height * from[1]);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * to[0], box.y + box.height * to[1], { steps: 5 });
      await page.mouse.up();
    };
    const state = (): string => [word(page, "zoom") !== null, /y=/.test(word(page, "own") ?? "")].join();
    const reset = async (): Promise<void> => {
      await page.getByRole("button", { name: "Reset zoom" }).click();
      await expect.poll(state, SLOWLY).toBe("false,false");
    };
    await drag([0.2, 0.5], [0.6, 0.55]);
    await expect.poll(state, SLOWLY).toBe("true,false");
    await page.keyboard.down("Shift");
    const before = word(page, "zoom");
    await drag([0.6, 0.5], [0.3, 0.5]);
    await page.keyboard.up("Shift");
    await expect.poll(() => word(page, "zoom"), SLOWLY).not.toBe(before);
    const width = (text: string | null): number => {
      const [low = 0, high = 0] = (text ?? "").slice("step:".length).split("..").map(Number);
      return high - low;
    };
    expect(width(word(page, "zoom"))).toBeCloseTo(width(before), -1);
    await reset();
    await drag([0.5, 0.2], [0.51, 0.8]);
    await expect.poll(state, SLOWLY).toBe("false,true");
    await reset();
    await drag([0.2, 0.2], [0.6, 0.8]);
    await expect.poll(state, SLOWLY).toBe("true,true");
    await reset();
    const axis = 1 + 11 / box.height;
    await drag([0.3, axis], [0.7, axis]);
    await expect.poll(state, SLOWLY).toBe("true,false");
    await page.locator("figure .u-over").dblclick();
    await expect.poll(state, SLOWLY).toBe("false,false");
    await end();
  });

  it("has settings of its own, which Esc takes back", async () => {
    const { page, close: end } = await open("?q=loss|odd");
    await page.locator("figure", { hasText: "loss" }).hover();
    await page.keyboard.press("e");
    const form = page.getByRole("group", { name: "Settings of loss" });
    await form.getByLabel("y axis").selectOption("Log");
    await expect.poll(() => word(page, "own"), SLOWLY).toBe("p:loss|logy=1");
    await page.keyboard.press("Escape");
    await expect.poll(() => word(page, "own"), SLOWLY).toBeNull();
    await page.locator("figure", { hasText: "loss" }).hover();
    await page.getByRole("button", { name: "Settings of loss" }).click();
    await form.getByRole("combobox", { name: "Smoothing", exact: true }).selectOption("Exponential");
    await lineWhen(page, "loss", "s0", (line) => line.raw !== null);
    expect((await linesOf(page, "odd")).every((line) => line.raw === null)).toBe(true);
    await page.getByRole("heading", { name: "odd" }).click();
    await page.getByText("Has settings of its own").first().waitFor({ state: "attached" });
    await page.keyboard.press("Control+z");
    await lineWhen(page, "loss", "s0", (line) => line.raw === null);
    await end();
  });

  it("gives its points as they were logged", async () => {
    const { page, close: end } = await open("?q=^loss$&off=s0", 3);
    await page.locator("figure").hover();
    await page.getByRole("button", { name: "More of loss" }).click();
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save logged points as CSV" }).click(),
    ]);
    const text = await readFile(await file.path(), "utf8");
    const lines = text.trim().split(/\r?\n/);
    expect(lines).toHaveLength(1 + 3 * POINTS);
    const values = lines
      .filter((line) => line.includes('"s3"'))
      .map((line) => Number(line.split(",").at(-1)));
    close(
      values,
      Array.from({ length: POINTS }, (_, i) => lossOf(3, i)),
    );
    await end();
  });

  it.each(CORNERS)("with its controls, $theme, $width px", async (at) => {
    const query = "?smooth=ema:0.9&group=&own=p:odd|logy=sym";
    await look({ server, browser }, "controls", `local/sea${query}`, "figure canvas", at, async (page) => {
      await settled(page, 4);
      await page.locator("figure", { hasText: "loss" }).first().hover();
      await page.getByRole("button", { name: "Settings of loss" }).click();
      await page.getByRole("group", { name: "Settings of loss" }).waitFor();
    });
    await look(
      { server, browser },
      "groups",
      "local/sea?group=config.opt",
      "figure canvas",
      at,
      async (page) => {
        await settled(page, 4);
      },
    );
  });
});
