/**
 * What is on the canvases, for measurements and for tests of the picture: marks in the performance time line, and a
 * read-only window.__buoy. Costs nothing and stays in production builds.
 *
 *   buoy:first-chart   the page's first chart has lines on its canvas
 *   buoy:view-drawn    all charts in view show what is asked of them; the mark is in the frame that shows it
 *   buoy:live-drawn    a chart shows a newer point than before
 */
import type { Plan } from "../plot/plan.ts";

interface Drawn {
  readonly lastX: number;
  readonly at: number;
}

/** A chart that is in the page. */
export interface Picturing {
  /** Where a value is, in device pixels of the chart's canvas. */
  place(x: number, y: number): readonly [left: number, top: number];
  picture(): { readonly plan: Plan };
}

const drawn = new Map<string, Drawn>();
/** By key; in full screen a key has two, of which the later counts. */
const charts = new Map<string, Picturing>();
const MARKS_MAX = 400;
let first = true;
let marks = 0;

function mark(name: string, detail: Record<string, unknown>): void {
  marks += 1;
  if (marks > MARKS_MAX) {
    // A page that is left open for a night must not collect marks for ever.
    for (const old of ["buoy:live-drawn", "buoy:view-drawn"]) performance.clearMarks(old);
    marks = 0;
  }
  performance.mark(name, { detail });
}

/** A chart's pixels are on its canvas; `lastX` is the newest x in it. */
export function chartDrawn(run: string, key: string, lastX: number): void {
  const before = drawn.get(`${run} ${key}`);
  if (before?.lastX === lastX) return;
  drawn.set(`${run} ${key}`, { lastX, at: performance.now() });
  if (first) mark("buoy:first-chart", { run, key, last_x: lastX });
  first = false;
  if (before !== undefined) mark("buoy:live-drawn", { run, key, last_x: lastX });
}

/** Nothing that is in view is waited for any more, and nothing of it is still to be painted after this frame. */
export function viewDrawn(panels: number, runs: number): void {
  requestAnimationFrame(() => mark("buoy:view-drawn", { panels, runs }));
}

/** A chart is in the page until the result is called. */
export function charted(key: string, chart: Picturing): () => void {
  charts.set(key, chart);
  return () => {
    if (charts.get(key) === chart) charts.delete(key);
  };
}

/** Installs the hook; what is drawn is named by run and key. */
export function installDebugHook(): void {
  const hook = Object.freeze({
    lastX: (run: string, key: string): number | null => drawn.get(`${run} ${key}`)?.lastX ?? null,
    drawnAt: (run: string, key: string): number | null => drawn.get(`${run} ${key}`)?.at ?? null,
    plan: (key: string): Plan | null => charts.get(key)?.picture().plan ?? null,
    place: (key: string, x: number, y: number): readonly [number, number] | null =>
      charts.get(key)?.place(x, y) ?? null,
  });
  Object.defineProperty(window, "__buoy", { value: hook });
}
