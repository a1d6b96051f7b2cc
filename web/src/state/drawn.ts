/**
 * What is on the canvases, for measurements: marks in the performance time line, and a read-only window.__buoy
 * that tells the last drawn x of each panel. Costs nothing and stays in production builds.
 */

interface Drawn {
  readonly lastX: number;
  readonly at: number;
}

const drawn = new Map<string, Drawn>();
const MARKS_MAX = 400;
let first = true;
let marks = 0;

function mark(name: string, detail: Record<string, unknown>): void {
  marks += 1;
  if (marks > MARKS_MAX) {
    // A page that is left open for a night must not collect marks for ever.
    performance.clearMarks("buoy:live-drawn");
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

/** Installs the hook; a panel is named by its run and key. */
export function installDebugHook(): void {
  const hook = Object.freeze({
    lastX: (run: string, key: string): number | null => drawn.get(`${run} ${key}`)?.lastX ?? null,
    drawnAt: (run: string, key: string): number | null => drawn.get(`${run} ${key}`)?.at ?? null,
  });
  Object.defineProperty(window, "__buoy", { value: hook });
}
