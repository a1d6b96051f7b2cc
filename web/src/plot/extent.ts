/** The y range of a panel for a window of x, and the point of a line nearest to the pointer: pure. */
import type { Range } from "../data/types.ts";
import type { Density, Line, Plan } from "./plan.ts";
import { type Mapping, mapping, type Scale, symlogThreshold } from "./scale.ts";

/** Index of the first element of ascending `x` that is ≥ value; x.length when there is none. */
export function lowerBound(x: Float64Array, value: number): number {
  let lo = 0;
  let hi = x.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if ((x[mid] as number) < value) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/** Index of the vertex nearest to `value`, -1 when the line is empty. */
export function nearest(line: Line, value: number): number {
  const { x } = line;
  if (x.length === 0) return -1;
  const right = Math.min(lowerBound(x, value), x.length - 1);
  const left = Math.max(0, right - 1);
  return Math.abs((x[left] as number) - value) < Math.abs((x[right] as number) - value) ? left : right;
}

export interface Extent {
  readonly range: Range;
  /** Values ≤ 0 in view, which a log axis cannot show; 0 on another one. */
  readonly hidden: number;
  /** Where a symlog axis goes over from linear to logarithmic. */
  readonly threshold: number;
}

export interface ExtentOptions {
  readonly scale: Scale;
  /** Leaves out what is below the 1st or above the 99th percentile of the points in view. */
  readonly robust: boolean;
  /** Whether what was logged is drawn behind smoothed lines; default true. */
  readonly raw?: boolean;
}

/** Lowest and highest value in view (0 is not forced in), with a little air; what a log axis hides is counted. */
export function yExtent(plan: Plan, view: Range, { scale, robust, raw = true }: ExtentOptions): Extent {
  const log = scale === "log";
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [smallest, hidden] = [Number.POSITIVE_INFINITY, 0];
  const take = (v: number): void => {
    if (log && v <= 0) {
      hidden += 1;
      return;
    }
    low = Math.min(low, v);
    high = Math.max(high, v);
    if (v !== 0) smallest = Math.min(smallest, Math.abs(v));
  };
  for (const line of plan.lines) {
    const smoothOnly = line.raw !== null && !raw;
    const band = smoothOnly ? null : line.band;
    const [begin, end] = inView(line, view);
    for (let i = begin; i < end; i++) {
      take((band === null ? line.y[i] : band.low[i]) as number);
      if (band !== null) take(band.high[i] as number);
      else if (line.raw !== null && raw) take(line.raw[i] as number);
    }
    const { last } = line;
    if (!smoothOnly && last !== null && last.x >= view[0] && last.x <= view[1]) take(last.y);
  }
  for (const [bottom, top] of cellsIn(plan.density, view)) {
    take(bottom);
    take(top);
  }
  if (robust && low < high) [low, high] = quantiles(plan, view, log) ?? [low, high];
  const threshold = symlogThreshold(smallest, Math.max(Math.abs(low), Math.abs(high)));
  return { range: log ? logAir(low, high) : air(low, high, mapping(scale, threshold)), hidden, threshold };
}

/** The cells in view that some series crosses: their borders, and how many series do. */
function* cellsIn(density: Density | null, view: Range): Generator<[low: number, high: number, n: number]> {
  if (density === null) return;
  const { first, width, columns, cells, counts, yRange } = density;
  const from = Math.max(0, Math.floor(view[0] / width) - first);
  const to = Math.min(columns - 1, Math.floor(view[1] / width) - first);
  const height = (yRange[1] - yRange[0]) / cells;
  for (let k = 0; k < cells; k++) {
    let n = 0;
    for (let i = from; i <= to; i++) n += counts[i * cells + k] as number;
    if (n > 0) yield [yRange[0] + k * height, yRange[0] + (k + 1) * height, n];
  }
}

/** Vertices in view and one to each side, as [begin, end). */
function inView(line: Line, view: Range): [number, number] {
  const end = Math.min(line.x.length, lowerBound(line.x, view[1]) + 1);
  return [Math.max(0, lowerBound(line.x, view[0]) - 1), end];
}

const ROBUST_SHARE = 0.01;
/** Fewer points than this have no outliers to speak of. */
const ROBUST_POINTS_MIN = 20;

/**
 * The 1st and the 99th percentile in view. A bucket counts with all its points, of which one is its min, one its
 * max and the others its mean. Null with few points.
 */
function quantiles(plan: Plan, view: Range, log: boolean): Range | null {
  const values: [value: number, weight: number][] = [];
  const take = (value: number, weight: number): void => {
    if (weight > 0 && !(log && value <= 0)) values.push([value, weight]);
  };
  for (const line of plan.lines) {
    const [begin, end] = inView(line, view);
    for (let i = begin; i < end; i++) {
      const n = line.band?.n?.[i] ?? 1;
      if (line.band !== null && n > 1) {
        take(line.band.low[i] as number, 1);
        take(line.band.high[i] as number, 1);
      }
      take(line.y[i] as number, line.band === null ? 1 : n > 1 ? n - 2 : 1);
    }
  }
  for (const [low, high, n] of cellsIn(plan.density, view)) {
    take(low, n / 2);
    take(high, n / 2);
  }
  values.sort((a, b) => a[0] - b[0]);
  const total = values.reduce((sum, [, weight]) => sum + weight, 0);
  if (total < ROBUST_POINTS_MIN) return null;
  const at = (share: number): number => {
    let sum = 0;
    for (const [value, weight] of values) {
      sum += weight;
      if (sum > share * total) return value;
    }
    return values.at(-1)?.[0] ?? 0;
  };
  return [at(ROBUST_SHARE), at(1 - ROBUST_SHARE)];
}

/** A twentieth more at either end, as high as it looks. */
function air(low: number, high: number, { forward, backward }: Mapping): Range {
  if (low > high) return [0, 1];
  if (low === high) {
    const around = low === 0 ? 1 : Math.abs(low) * 0.1;
    return [low - around, high + around];
  }
  const more = (forward(high) - forward(low)) * 0.06;
  return [backward(forward(low) - more), backward(forward(high) + more)];
}

function logAir(low: number, high: number): Range {
  if (low > high) return [0.1, 1];
  const ratio = low === high ? 2 : Math.max(1.02, (high / low) ** 0.06);
  return [low / ratio, high * ratio];
}
