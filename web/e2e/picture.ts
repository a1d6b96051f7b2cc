/** What is on a chart's canvas, by pixels, and what it was drawn from; both as the page's own hook tells. */
import type { Page } from "playwright-core";
import type { Plan } from "../src/plot/plan.ts";

/** Of `window.__buoy`, see src/state/drawn.ts. */
export interface Hook {
  lastX(run: string, key: string): number | null;
  plan(key: string): Plan | null;
  place(key: string, x: number, y: number): readonly [number, number] | null;
}

/** A line of a plan as it can be handed over from a page. */
export interface Drawn {
  readonly run: string;
  readonly attempt: number;
  readonly x: number[];
  readonly y: number[];
  readonly joined: number[];
  /** Where y is smoothed: what was logged. */
  readonly raw: number[] | null;
  /** Of how many runs each point of a group is. */
  readonly votes: number[] | null;
  readonly bad: [x: number, y: string][];
  /** Width of a bucket and its extremes; null for raw points. */
  readonly width: number | null;
  readonly low: number[];
  readonly high: number[];
  readonly last: { x: number; y: number } | null;
}

/** Waits until all charts in view show this many runs and nothing is waited for. */
export async function settled(page: Page, runs: number): Promise<void> {
  await page.waitForFunction(
    (wanted) => {
      const marks = performance.getEntriesByName("buoy:view-drawn") as PerformanceMark[];
      return (marks.at(-1)?.detail as { runs: number } | undefined)?.runs === wanted;
    },
    runs,
    { timeout: 60_000 },
  );
}

export function linesOf(page: Page, key: string): Promise<Drawn[]> {
  return page.evaluate((name) => {
    const { plan } = (window as unknown as { __buoy: Hook }).__buoy;
    return (plan(name)?.lines ?? []).map((line) => ({
      run: line.run,
      attempt: line.attempt,
      x: [...line.x],
      y: [...line.y],
      joined: [...line.joined],
      raw: line.raw === null ? null : [...line.raw],
      votes: line.band?.votes ? [...line.band.votes.n] : null,
      bad: [...line.bad.x].map((x, i): [number, string] => [x, String(line.bad.y[i])]),
      width: line.band?.width ?? null,
      low: [...(line.band?.low ?? line.y)],
      high: [...(line.band?.high ?? line.y)],
      last: line.last,
    }));
  }, key);
}

/** Where a value is: pixels of the canvas, and of the window. */
export async function placeOf(
  page: Page,
  key: string,
  x: number,
  y: number,
): Promise<{ canvas: [number, number]; window: [number, number] }> {
  const found = await page.evaluate(
    ([name, atX, atY]) => {
      const place = (window as unknown as { __buoy: Hook }).__buoy.place(name, atX, atY);
      const box = document
        .querySelector(`figure[data-panel="${CSS.escape(name)}"] canvas`)
        ?.getBoundingClientRect();
      return place === null || box === undefined ? null : { place, left: box.left, top: box.top };
    },
    [key, x, y] as const,
  );
  if (found === null) throw new Error(`no chart of ${key}`);
  const [left, top] = found.place;
  return { canvas: [left, top], window: [found.left + left, found.top + top] };
}

/**
 * Pixels with the colour of data, not of paper, grid or words, at most this far from a value. Data has a hue, all
 * else in a chart has none.
 */
export async function inkAt(
  page: Page,
  key: string,
  x: number,
  y: number,
  far: [number, number],
): Promise<number> {
  const { canvas } = await placeOf(page, key, x, y);
  return page.evaluate(
    ([name, [left, top], [across, down]]) => {
      const found = document.querySelector<HTMLCanvasElement>(
        `figure[data-panel="${CSS.escape(name)}"] canvas`,
      );
      const context = found?.getContext("2d");
      if (!context) throw new Error(`no canvas of ${name}`);
      const [width, height] = [Math.ceil(2 * across) + 1, Math.ceil(2 * down) + 1];
      const { data } = context.getImageData(Math.round(left - across), Math.round(top - down), width, height);
      let ink = 0;
      for (let i = 0; i < data.length; i += 4) {
        const [r = 0, g = 0, b = 0, a = 0] = data.slice(i, i + 4);
        if (a > 40 && Math.max(r, g, b) - Math.min(r, g, b) > 40) ink += 1;
      }
      return ink;
    },
    [key, canvas, far] as const,
  );
}

/** All pixels of a chart, as text that can be compared. */
export function pixels(page: Page, key: string): Promise<string> {
  return page.evaluate((name) => {
    const found = document.querySelector<HTMLCanvasElement>(
      `figure[data-panel="${CSS.escape(name)}"] canvas`,
    );
    return found?.toDataURL() ?? "";
  }, key);
}

/** Looks at the same project in another way, as the back button would; `runs` null where no points are asked for. */
export async function turn(page: Page, query: string, runs: number | null): Promise<void> {
  await page.evaluate((text) => {
    performance.clearMarks("buoy:view-drawn");
    history.pushState(null, "", `${location.pathname}${text}`);
    dispatchEvent(new PopStateEvent("popstate"));
  }, query);
  if (runs !== null) await settled(page, runs);
}
