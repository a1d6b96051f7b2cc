/**
 * The picture is true: T1 to T9, each as a property of what is on the canvas in a real browser, on seeded data.
 *
 *   spike   one run, a million points, one of them far off        walls   310 runs, 200 points of two keys
 *   runs    30 runs, 6 keys, 1,000 steps                          others  are logged as the tests go
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Feeder, type Row } from "./feeder.ts";
import { launch, Server } from "./harness.ts";
import { type Drawn, type Hook, inkAt, linesOf, pixels, placeOf, settled, turn } from "./picture.ts";

const LONG = 1_000_000;
const SPIKE = Math.floor(LONG / 3);
const FILL = `
import os
from pathlib import Path
from tests.datasets import fill, shape_of
fill(Path(os.environ["DATA"]), {
    "spike": shape_of("w3", steps=${LONG}),
    "runs": shape_of("w1", 30, keys=6),
    "walls": shape_of("w1", 310, keys=2, steps=200),
})
`;
const SLOWLY = { timeout: 60_000 };

let server: Server;
let browser: Browser;
let feeder: Feeder;

beforeAll(async () => {
  server = await Server.filled(FILL);
  browser = await launch();
  feeder = new Feeder(server);
});
afterAll(async () => {
  await feeder?.stop();
  await browser?.close();
  await server?.stop();
});

async function open(
  path: string,
  runs: number,
  { width = 1440, height = 900 } = {},
): Promise<{ page: Page; asked: string[]; close: () => Promise<void> }> {
  const context = await browser.newContext({ viewport: { width, height }, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const asked: string[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/series:query")) asked.push(request.postData() ?? "");
  });
  await page.goto(server.link(path));
  await settled(page, runs);
  return { page, asked, close: () => context.close() };
}

/** A number of a test's own, the same in every run of it. */
function noise(seed: number): number {
  const mixed = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d);
  return (((mixed ^ (mixed >>> 12)) >>> 0) % 100_003) / 100_003;
}

const rowsOf = (from: number, to: number, value: (step: number) => number, key = "y"): Row[] =>
  Array.from({ length: to - from }, (_, i) => [from + i, { [key]: value(from + i) }]);

describe("T1 a single far sample is on the canvas", () => {
  /** Windows that have the sample at different places in them, down to where it is drawn as it was logged. */
  const windows = [0, 3, 6, 9, 12, 15, 17].map((halvings): [number, number] => {
    const span = LONG / 2 ** halvings;
    const low = Math.max(0, Math.floor(SPIKE - span * (0.2 + 0.08 * (halvings % 7))));
    return [low, Math.min(LONG - 1, Math.ceil(low + span))];
  });

  it.each([0, 1, 3])("among a million, at seven zooms, panel size %d", async (size) => {
    const { page, close } = await open(`local/spike?size=${size}`, 1);
    for (const [low, high] of windows) {
      await turn(page, `?size=${size}&zoom=step:${low}..${high}`, 1);
      const [line] = await linesOf(page, "loss");
      const peak = Math.max(...(line?.high ?? []));
      const one = await placeOf(page, "loss", SPIKE, peak);
      const next = await placeOf(page, "loss", SPIKE + (line?.width ?? 0), peak);
      const far = next.canvas[0] - one.canvas[0] + 2;
      const ink = await inkAt(page, "loss", SPIKE, peak, [far, 1]);
      expect(peak, `the peak in ${low}..${high}`).toBeGreaterThan(4.8);
      expect(ink, `pixels at the peak in ${low}..${high}`).toBeGreaterThanOrEqual(1);
    }
    await close();
  });

  it("among 310 runs, as a line or at the edge of a range that leaves it out", async () => {
    const far = (step: number): number => (step === 77 ? 60 : 0.5);
    // The newest of all, so that it is among those that are lines.
    const rows = rowsOf(0, 200, far, "group0/key00");
    await feeder.put({ project: "walls", run: "far", rows, start_s: 1e8, end: true });
    const { page, close } = await open("local/walls?q=key00", 311);
    expect(await inkAt(page, "group0/key00", 77, 60, [3, 2])).toBeGreaterThanOrEqual(1);
    await turn(page, "?q=key00&robust=1", null);
    const above = async (): Promise<number> => (await placeOf(page, "group0/key00", 77, 60)).canvas[1];
    await expect.poll(above, SLOWLY).toBeLessThan(0);
    const { canvas } = await placeOf(page, "group0/key00", 77, 60);
    const top = await page.evaluate(() => {
      const canvas = document.querySelector("figure canvas")?.getBoundingClientRect();
      const over = document.querySelector("figure .u-over")?.getBoundingClientRect();
      return (over?.top ?? 0) - (canvas?.top ?? 0);
    });
    const ticks = await page.evaluate(
      ([left, y]) => {
        const context = document.querySelector<HTMLCanvasElement>("figure canvas")?.getContext("2d");
        const { data } = context?.getImageData(left - 2, y, 5, 4) ?? { data: [] };
        let ink = 0;
        for (let i = 0; i < data.length; i += 4) {
          const [r = 0, g = 0, b = 0] = [data[i], data[i + 1], data[i + 2]];
          if (Math.max(r, g, b) - Math.min(r, g, b) > 40) ink += 1;
        }
        return ink;
      },
      [Math.round(canvas[0]), Math.round(top)] as const,
    );
    expect(ticks, "a tick at the edge").toBeGreaterThanOrEqual(1);
    await close();
  });
});

/** Equal but for the float32 in which columns of buckets may come. */
function close(got: readonly number[], wanted: readonly (number | undefined)[]): void {
  expect(got).toEqual(wanted.map((value) => expect.closeTo(value ?? Number.NaN, 4)));
}

describe("T2 smoothing depends on the series and on nothing else", () => {
  const key = "group0/key00";
  const lineOf = async (page: Page, run: string): Promise<Drawn> => {
    const line = (await linesOf(page, key)).find((one) => one.run === run);
    if (line === undefined) throw new Error(`no line of ${run}`);
    return line;
  };
  /** The last step of each bucket, whose smoothed value it has; of a point its own step. */
  const ends = ({ x, width }: Drawn): number[] =>
    x.map((at) => (width === null ? at : Math.min(999, (Math.floor(at / width) + 1) * width - 1)));

  it.each(["twema:0.9", "ema:0.97", "running:31", "gaussian:7"])(
    "%s: not on window, width or other runs",
    async (smooth) => {
      const path = `?q=key00&smooth=${smooth}`;
      const { page, close: end } = await open(`local/runs${path}&on=r000003`, 1);
      const known = new Map<number, number>();
      for (let from = 0; from < 1000; from += 100) {
        await turn(page, `${path}&on=r000003&zoom=step:${from}..${from + 99}`, 1);
        const line = await lineOf(page, "r000003");
        expect(line.width, "points as they were logged").toBeNull();
        line.x.forEach((x, i) => {
          known.set(x, line.y[i] ?? Number.NaN);
        });
      }
      expect(known.size).toBe(1000);
      for (const [query, runs] of [
        ["&on=r000003", 1],
        ["", 30],
        ["&zoom=step:200..820", 30],
        ["&size=3&on=r000003", 1],
      ] as const) {
        if (query.includes("size")) {
          await page.goto(`${server.base}/local/runs${path}${query}`);
          await settled(page, runs);
        } else await turn(page, path + query, runs);
        const line = await lineOf(page, "r000003");
        close(
          line.y,
          ends(line).map((step) => known.get(step)),
        );
      }
      await end();
    },
  );

  it.each(["twema:0.9", "ema:0.97"])("%s: what is past stays when there is more", async (smooth) => {
    const run = smooth.replace(":", "");
    const put = (from: number, to: number): Promise<void> =>
      feeder.put({ project: "smooth", run, rows: rowsOf(from, to, noise) });
    await put(0, 300);
    const { page, close: end } = await open(`local/smooth?on=${run}&smooth=${smooth}&zoom=step:0..120`, 1);
    const [before] = await linesOf(page, "y");
    expect(before?.x.length).toBeGreaterThan(100);
    await put(300, 450);
    await page.waitForFunction(
      ([id]) =>
        (window as unknown as { __buoy: Hook }).__buoy.plan("y")?.lines.find((one) => one.run === id)?.last
          ?.x === 449,
      [run] as const,
    );
    const [after] = await linesOf(page, "y");
    expect(after?.y).toEqual(before?.y);
    await end();
  });
});

describe("T3 a group depends on its own runs only", () => {
  it("whatever else is shown", async () => {
    const key = "group0/key00";
    const { page, close: end } = await open("local/runs?q=key00&group=config.opt.name", 30);
    const all = await linesOf(page, key);
    expect(all.length, "groups").toBeGreaterThan(2);
    for (const group of all.slice(0, 3)) {
      const [name] = JSON.parse(group.run) as [string];
      const filter = encodeURIComponent(`opt.name:${name}`);
      await page.goto(`${server.base}/local/runs?q=key00&group=config.opt.name&filter=${filter}`);
      await page.waitForFunction(
        (wanted) => (window as unknown as { __buoy: Hook }).__buoy.plan(wanted)?.lines.length === 1,
        key,
      );
      const [alone] = await linesOf(page, key);
      expect(alone?.run).toBe(group.run);
      for (const column of ["x", "y", "low", "high"] as const)
        expect(alone?.[column], column).toEqual(group[column]);
    }
    await end();
  });
});

describe("T4 buckets stay where they are", () => {
  const value = (step: number): number => noise(step) + step / 10_000;
  /** Of the run that grows; the last bucket is left out: it is not full. */
  const finished = async (page: Page): Promise<Drawn> => {
    const [line] = await linesOf(page, "y");
    if (line?.width == null) throw new Error("no buckets");
    const cut = <T>(column: T[]): T[] => column.slice(0, -1);
    return { ...line, x: cut(line.x), y: cut(line.y), low: cut(line.low), high: cut(line.high), joined: [] };
  };

  it("while a run grows, and are halved in number exactly when they become wider", async () => {
    await feeder.put({ project: "grow", run: "grow", rows: rowsOf(0, 4200, value) });
    const { page, close } = await open("local/grow", 1);
    const until = async (step: number): Promise<void> => {
      await page.waitForFunction(
        (x) => (window as unknown as { __buoy: Hook }).__buoy.lastX("grow", "y") === x,
        step,
      );
    };
    const before = await finished(page);
    await feeder.put({ project: "grow", run: "grow", rows: rowsOf(4200, 4900, value) });
    await until(4899);
    const longer = await finished(page);
    expect(longer.width).toBe(before.width);
    for (const column of ["x", "y", "low", "high"] as const)
      expect(longer[column].slice(0, before[column].length), column).toEqual(before[column]);
    await feeder.put({ project: "grow", run: "grow", rows: rowsOf(4900, 9000, value) });
    await until(8999);
    const wider = await finished(page);
    const times = (wider.width ?? 0) / (before.width ?? 1);
    expect(times).toBeGreaterThan(1);
    const merged = (column: number[], of: (...values: number[]) => number): number[] =>
      Array.from({ length: Math.floor(column.length / times) }, (_, i) =>
        of(...column.slice(i * times, (i + 1) * times)),
      );
    expect(wider.low.slice(0, Math.floor(before.low.length / times))).toEqual(merged(before.low, Math.min));
    expect(wider.high.slice(0, Math.floor(before.high.length / times))).toEqual(
      merged(before.high, Math.max),
    );
    await close();
  });

  it("to the pixel, in a window that is over", async () => {
    await feeder.put({ project: "over", run: "over", rows: rowsOf(0, 3000, value) });
    const { page, close } = await open("local/over?zoom=step:200..2200", 1);
    const before = await pixels(page, "y");
    await feeder.put({ project: "over", run: "over", rows: rowsOf(3000, 12_000, value) });
    await page.waitForFunction(
      (x) => (window as unknown as { __buoy: Hook }).__buoy.plan("y")?.lines[0]?.last?.x === x,
      11_999,
    );
    expect(await pixels(page, "y")).toBe(before);
    await close();
  });
});

describe("T5 the tooltip tells what was logged", () => {
  const step = (i: number): number => 30 * i + (i % 7);
  const logged = new Map(Array.from({ length: 60 }, (_, i) => [step(i), Math.sqrt(step(i)) / 7]));

  it("at a step that was logged, wherever the pointer is between two", async () => {
    const rows: Row[] = [...logged].map(([at, y]) => [at, { y }]);
    await feeder.put({ project: "told", run: "told", rows, end: true });
    const { page, close } = await open("local/told", 1);
    for (const share of [0.013, 0.171, 0.334, 0.5, 0.687, 0.829, 0.991]) {
      const box = await page.locator("figure .u-over").boundingBox();
      if (box === null) throw new Error("no chart");
      await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
      const text = await tooltip(page);
      const at = Number(/step ([\d\s\u2009,.]+)/i.exec(text)?.[1]?.replace(/[^\d.]/g, ""));
      expect([...logged.keys()], text).toContain(at);
      expect(text).toContain(String(logged.get(at)));
    }
    await close();
  });

  it("or says that it is of several points, and of which", async () => {
    const { page, close } = await open("local/runs?q=key00&on=r000003", 1);
    const [line] = await linesOf(page, "group0/key00");
    expect(line?.width, "buckets").toBeGreaterThan(1);
    const at = Math.floor((line?.x.length ?? 0) / 2);
    const { window } = await placeOf(page, "group0/key00", line?.x[at] ?? 0, line?.y[at] ?? 0);
    await page.mouse.move(...window);
    const text = await tooltip(page);
    const [from, to] = [...text.matchAll(/\d[\d\s\u2009]*(?=[ –-]|n|$)/g)].map(([digits]) => digits);
    expect(text, "a range of steps").toMatch(/steps/i);
    expect([from, to]).not.toContain(undefined);
    expect(text, "least, greatest, and how many").toMatch(/… .*n \d+/);
    await close();
  });

  function tooltip(page: Page): Promise<string> {
    return page.evaluate(() => {
      const over = document.querySelector("figure .u-over");
      const box = [...(over?.children ?? [])].find(
        (child) => child instanceof HTMLElement && !child.hidden && (child.textContent ?? "") !== "",
      );
      return box?.textContent ?? "";
    });
  }
});

describe("T6 nothing is left out without a count", () => {
  it("of runs, of keys, of values that have no place", async () => {
    const odd = (step: number): number | string =>
      step % 10 === 3 ? "NaN" : step % 10 === 7 ? -1 : 1 + step;
    const rows: Row[] = Array.from({ length: 50 }, (_, step) => [step, { odd: odd(step), hidden: 1 }]);
    await feeder.put({ project: "odd", run: "odd", rows, end: true });
    const { page, close } = await open("local/odd?logy=1&hide=^hidden$", 1);
    const note = page.locator('figure[data-panel="odd"]');
    await expect.poll(() => note.textContent(), SLOWLY).toMatch(/5 NaN/);
    await expect.poll(() => note.textContent(), SLOWLY).toMatch(/5 ≤ 0/);
    await expect.poll(() => page.locator("main").textContent(), SLOWLY).toMatch(/1 of 2/);
    await page.goto(`${server.base}/local/walls`);
    const said = page.locator("figure").first();
    await expect.poll(() => said.textContent(), SLOWLY).toMatch(/31[01] runs/);
    await close();
  });
});

describe("T7 the last point is the last that the server has", () => {
  it("after every upload, by value and by pixel", async () => {
    const value = (step: number): number => 1 + noise(step);
    await feeder.put({ project: "tip", run: "tip", rows: rowsOf(0, 1, value) });
    const { page, close } = await open("local/tip", 1);
    let have = 1;
    for (const more of [1, 1, 2, 40, 1, 3000, 1, 17]) {
      await feeder.put({ project: "tip", run: "tip", rows: rowsOf(have, have + more, value) });
      have += more;
      await page.waitForFunction(
        (x) => (window as unknown as { __buoy: Hook }).__buoy.lastX("tip", "y") === x,
        have - 1,
      );
      const [line] = await linesOf(page, "y");
      expect(line?.last).toEqual({ x: have - 1, y: value(have - 1) });
      expect(await inkAt(page, "y", have - 1, value(have - 1), [2, 2])).toBeGreaterThan(8);
    }
    await close();
  });
});

describe("T8 hidden runs cost nothing", () => {
  it("no request, no line, no room on the axis, also while they log", async () => {
    const at = (height: number) => (step: number) => height + (step % 5) / 10;
    for (const [run, height] of [
      ["calm", 1],
      ["loud", 1e6],
    ] as const)
      await feeder.put({ project: "hide", run, rows: rowsOf(0, 30, at(height)) });
    const { page, asked, close } = await open("local/hide?off=loud", 1);
    const calm = async (): Promise<void> => {
      const lines = await linesOf(page, "y");
      expect(lines.map(({ run }) => run)).toEqual(["calm"]);
      const [top, bottom] = [await placeOf(page, "y", 0, 1.4), await placeOf(page, "y", 0, 1)];
      expect(bottom.canvas[1] - top.canvas[1], "the line fills its panel").toBeGreaterThan(50);
    };
    await calm();
    for (let step = 30; step < 36; step++) {
      await feeder.put({ project: "hide", run: "loud", rows: rowsOf(step, step + 1, at(1e6)) });
      await feeder.put({ project: "hide", run: "calm", rows: rowsOf(step, step + 1, at(1)) });
      await page.waitForFunction(
        (x) => (window as unknown as { __buoy: Hook }).__buoy.lastX("calm", "y") === x,
        step,
      );
    }
    await calm();
    expect(asked.filter((body) => body.includes("loud"))).toEqual([]);
    expect(asked.length, "questions about the run that is shown").toBeGreaterThan(1);
    await close();
  });
});

describe("T9 steps that go back draw no zig-zag", () => {
  const joinedForwards = (lines: Drawn[]): void => {
    for (const { x, joined } of lines)
      for (let i = 1; i < x.length; i++) {
        expect(x[i], "x of a vertex after its neighbour").toBeGreaterThan(x[i - 1] ?? 0);
        expect([0, 1]).toContain(joined[i]);
      }
  };

  it("after a restart, also one that comes later into the page", async () => {
    const first = (): number => 10;
    const second = (step: number): number => 1 + step / 1000;
    await feeder.put({ project: "back", run: "back", rows: rowsOf(0, 200, first) });
    const { page, close } = await open("local/back", 1);
    expect(await inkAt(page, "y", 150, 10, [2, 2])).toBeGreaterThan(0);
    const later = { attempt: 1000, start_s: 1000 };
    await feeder.put({ project: "back", run: "back", rows: rowsOf(100, 260, second), ...later });
    await page.waitForFunction(
      (x) => (window as unknown as { __buoy: Hook }).__buoy.lastX("back", "y") === x,
      259,
    );
    const lines = await linesOf(page, "y");
    joinedForwards(lines);
    expect(lines.map(({ run, attempt }) => [run, attempt])).toEqual([["back", 0]]);
    expect(lines[0]?.y.slice(99, 101), "old value, then new").toEqual([10, second(100)]);
    expect(await inkAt(page, "y", 150, 10, [2, 2]), "what was superseded").toBe(0);
    expect(await inkAt(page, "y", 150, second(150), [2, 2])).toBeGreaterThan(0);
    await turn(page, "?x=rel", 1);
    joinedForwards(await linesOf(page, "y"));
    await close();
  });
});
