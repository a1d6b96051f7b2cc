/** The y range of a panel for a window of x, and the point of a line nearest to the pointer: pure. */
import type { Range } from "../data/types.ts";
import type { Line, Plan } from "./plan.ts";

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
  /** Values ≤ 0 in view, which a log axis cannot show; 0 on a linear one. */
  readonly hidden: number;
}

export interface ExtentOptions {
  readonly log: boolean;
  /** Leaves out what is below the 1st or above the 99th percentile of the points in view. */
  readonly robust: boolean;
}

/** Lowest and highest value in view (0 is not forced in), with a little air; what a log axis hides is counted. */
export function yExtent(plan: Plan, view: Range, { log, robust }: ExtentOptions): Extent {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let hidden = 0;
  const take = (v: number): void => {
    if (log && v <= 0) hidden += 1;
    else {
      low = Math.min(low, v);
      high = Math.max(high, v);
    }
  };
  for (const line of plan.lines) {
    const [begin, end] = inView(line, view);
    for (let i = begin; i < end; i++) {
      take((line.band === null ? line.y[i] : line.band.low[i]) as number);
      if (line.band !== null) take(line.band.high[i] as number);
    }
    if (line.last !== null && line.last.x >= view[0] && line.last.x <= view[1]) take(line.last.y);
  }
  if (robust && low < high) [low, high] = quantiles(plan, view, log) ?? [low, high];
  return { range: log ? logAir(low, high) : linearAir(low, high), hidden };
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

function linearAir(low: number, high: number): Range {
  if (low > high) return [0, 1];
  if (low === high) {
    const air = low === 0 ? 1 : Math.abs(low) * 0.1;
    return [low - air, high + air];
  }
  const air = (high - low) * 0.06;
  return [low - air, high + air];
}

function logAir(low: number, high: number): Range {
  if (low > high) return [0.1, 1];
  const ratio = low === high ? 2 : Math.max(1.02, (high / low) ** 0.06);
  return [low / ratio, high * ratio];
}

/** Ticks of a log axis: at most five powers of ten in range; with fewer than three of them also 2 and 5 between. */
export function logTicks(low: number, high: number): number[] {
  const inside = (v: number): boolean => v >= low && v <= high;
  const from = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - from + 1 }, (_, i) => 10 ** (from + i));
  const decades = powers.filter(inside);
  if (decades.length < 3) return powers.flatMap((d) => [d, 2 * d, 5 * d]).filter(inside);
  const every = Math.ceil(decades.length / 5);
  return decades.filter((_, i) => i % every === 0);
}
