/**
 * From decoded series to what is drawn: pure, without clock and DOM, so that every promise about a picture is a
 * unit test. Promises:
 *  - No value vanishes: a bucket's band covers its min…max, and an extreme that stands out of its neighbours
 *    also gets a full stroke (a spike).
 *  - NaN and infinities are gaps, and they are counted. Gaps are also where x jumps more than 8 × the median.
 *  - The last point is exact, also when the rest is buckets.
 */
import type { Column, ColumnName, Series } from "../data/frames.ts";
import { pieces } from "../data/pieces.ts";
import type { XKind } from "../data/types.ts";

export interface Line {
  readonly run: string;
  readonly rank: number;
  /** Position and height of each vertex, x ascending; y is never NaN, `joined` says where the pen is down. */
  readonly x: Float64Array;
  readonly y: Float64Array;
  /** joined[i] = 1: vertex i is connected to vertex i - 1. */
  readonly joined: Uint8Array;
  /** Buckets only: extent, number of points, width of a bucket in x units. */
  readonly band: Band | null;
  readonly last: { readonly x: number; readonly y: number } | null;
  readonly nonFinite: number;
  /** 0 for the curve; else the attempt of which this is the superseded part. */
  readonly attempt: number;
}

export interface Band {
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly n: Float64Array | null;
  readonly width: number;
  /** Buckets whose extreme stands out of both neighbours; they are stroked from low to high. */
  readonly spikes: readonly number[];
  /** Of a line that stands for several ranks. */
  readonly ranks: BandRanks | null;
}

/** Bucket by bucket: which ranks are the lowest and the highest, and how many there are. */
export interface BandRanks {
  readonly lowest: Float64Array;
  readonly highest: Float64Array;
  readonly count: Float64Array;
  /** Values that are not finite, and the lowest rank that has one. */
  readonly bad: Float64Array;
  readonly badRank: Float64Array;
  /** The largest count: how many ranks there are to be expected. */
  readonly most: number;
}

export interface Plan {
  readonly lines: readonly Line[];
  /** NaN when nothing is there. */
  readonly xMin: number;
  readonly xMax: number;
  readonly nonFinite: number;
  /** False when some non-finite points lie in buckets and can only be counted from below. */
  readonly nonFiniteExact: boolean;
  /** Number of series the server could not answer. */
  readonly failed: number;
}

const GAP_FACTOR = 8;
const SPIKE_FACTOR = 1;

/** Joins each vertex to the one before, except over a gap. `x` is ascending. */
export function joints(x: Float64Array, breakBefore: Uint8Array): Uint8Array {
  const joined = new Uint8Array(x.length);
  const limit = GAP_FACTOR * medianStep(x);
  for (let i = 1; i < x.length; i++) {
    const step = (x[i] as number) - (x[i - 1] as number);
    joined[i] = breakBefore[i] === 0 && !(step > limit && limit > 0) ? 1 : 0;
  }
  return joined;
}

function medianStep(x: Float64Array): number {
  if (x.length < 3) return 0;
  const steps = new Float64Array(x.length - 1);
  for (let i = 1; i < x.length; i++) steps[i - 1] = (x[i] as number) - (x[i - 1] as number);
  steps.sort();
  return steps[steps.length >> 1] as number;
}

/** Indices of buckets whose min or max stands out of both neighbours by more than their span. */
export function spikes(low: Float64Array, high: Float64Array): number[] {
  const found: number[] = [];
  for (let i = 0; i < low.length; i++) {
    const a = i > 0 ? i - 1 : i + 1;
    const b = i + 1 < low.length ? i + 1 : i - 1;
    if (low[a] === undefined || low[b] === undefined) continue;
    const top = Math.max(high[a] as number, high[b] as number);
    const bottom = Math.min(low[a] as number, low[b] as number);
    const margin = SPIKE_FACTOR * (top - bottom);
    if ((high[i] as number) > top + margin || (low[i] as number) < bottom - margin) {
      if ((high[i] as number) > (low[i] as number)) found.push(i);
    }
  }
  return found;
}

interface Kept {
  /** Indices of finite vertices in the source. */
  readonly rows: number[];
  readonly breakBefore: Uint8Array;
}

/** Leaves non-finite values out and remembers where they cut the line. */
function finiteRows(length: number, at: (i: number) => number): Kept {
  const rows: number[] = [];
  const breaks: number[] = [];
  let cut = 0;
  for (let i = 0; i < length; i++) {
    if (!Number.isFinite(at(i))) {
      cut = 1;
      continue;
    }
    rows.push(i);
    breaks.push(cut);
    cut = 0;
  }
  return { rows, breakBefore: Uint8Array.from(breaks) };
}

const pick = (rows: readonly number[], at: (i: number) => number): Float64Array =>
  Float64Array.from(rows, at);

const read =
  (column: Column) =>
  (i: number): number =>
    column.base + (column.values[i] as number);

type Raw = Extract<Series, { kind: "raw" }>;
type Buckets = Extract<Series, { kind: "buckets" }>;

function head(series: Series): Pick<Line, "run" | "rank" | "attempt" | "last"> {
  const { run, rank, attempt } = series;
  // A superseded part has no newest point: the curve has.
  const last = attempt === 0 && Number.isFinite(series.lastX) && Number.isFinite(series.lastY);
  return { run, rank, attempt, last: last ? { x: series.lastX, y: series.lastY } : null };
}

function rawLine(series: Raw): Line {
  const { rows, breakBefore } = finiteRows(series.y.length, (i) => series.y[i] as number);
  const x = pick(rows, (i) => series.x[i] as number);
  const y = pick(rows, (i) => series.y[i] as number);
  const nonFinite = series.y.length - rows.length;
  return { ...head(series), x, y, joined: joints(x, breakBefore), band: null, nonFinite };
}

/**
 * Where bucket b is drawn: the middle of the x values it can hold (steps are whole numbers, so bucket [4, 8) of
 * steps is drawn at 5.5 and a bucket of one step at that step), never outside of what was logged.
 */
export function bucketMiddle(b: number, exp: number, x: XKind, xMin: number, xMax: number): number {
  const width = 2 ** exp;
  const middle = b * width + (x === "step" ? Math.max(0, width - 1) : width) / 2;
  return Math.min(Math.max(middle, xMin), xMax);
}

function bucketLine(series: Buckets, xKind: XKind): Line {
  const { min, max, mean, n, last } = series.columns;
  const centre = mean ?? last;
  if (min === undefined || max === undefined || centre === undefined) {
    throw new Error("a bucketed series needs the columns min, max and mean or last");
  }
  const { rows, breakBefore } = finiteRows(series.rows, read(min));
  const bucket = (i: number): number => series.first + (series.idx === null ? i : (series.idx[i] as number));
  const x = pick(rows, (i) => bucketMiddle(bucket(i), series.exp, xKind, series.xMin, series.xMax));
  const low = pick(rows, read(min));
  const high = pick(rows, read(max));
  return {
    ...head(series),
    x,
    y: pick(rows, read(centre)),
    joined: joints(x, breakBefore),
    band: {
      low,
      high,
      n: n === undefined ? null : pick(rows, read(n)),
      width: 2 ** series.exp,
      spikes: spikes(low, high),
      ranks: bandRanks(series, rows),
    },
    nonFinite: bucketNonFinite(series, n),
  };
}

function bandRanks(series: Buckets, rows: readonly number[]): BandRanks | null {
  const taken = (name: ColumnName): Float64Array | null => {
    const column = series.columns[name];
    return column === undefined ? null : pick(rows, read(column));
  };
  const [lowest, highest, count] = [taken("low"), taken("high"), taken("ranks")];
  const [bad, badRank] = [taken("bad"), taken("bad_rank")];
  if (lowest === null || highest === null || count === null || bad === null || badRank === null) return null;
  return { lowest, highest, count, bad, badRank, most: count.reduce((a, b) => Math.max(a, b), 0) };
}

/**
 * Points known to be non-finite: what a band counts; else all of a bucket without a min, one of a bucket whose last
 * is NaN or Inf.
 */
function bucketNonFinite(series: Buckets, n: Column | undefined): number {
  const { min, last, bad } = series.columns;
  let total = 0;
  if (bad !== undefined) {
    for (let i = 0; i < series.rows; i++) total += read(bad)(i);
    return total;
  }
  for (let i = 0; i < series.rows; i++) {
    if (min !== undefined && !Number.isFinite(read(min)(i))) total += n === undefined ? 1 : read(n)(i);
    else if (last !== undefined && !Number.isFinite(read(last)(i))) total += 1;
  }
  return total;
}

/** The draw plan of one panel. Superseded parts come first, so that they are drawn below; then curves by rank. */
export function plan(series: readonly Series[], x: XKind): Plan {
  const lines: Line[] = [];
  let xMin = Number.POSITIVE_INFINITY;
  let xMax = Number.NEGATIVE_INFINITY;
  let failed = 0;
  for (const one of series.flatMap(pieces)) {
    if (one.kind === "error") failed += 1;
    if (one.kind !== "raw" && one.kind !== "buckets") continue;
    lines.push(one.kind === "raw" ? rawLine(one) : bucketLine(one, x));
    xMin = Math.min(xMin, one.xMin);
    xMax = Math.max(xMax, one.xMax);
  }
  lines.sort(
    (a, b) => Number(a.attempt === 0) - Number(b.attempt === 0) || a.rank - b.rank || a.attempt - b.attempt,
  );
  const empty = xMin > xMax;
  return {
    lines,
    xMin: empty ? Number.NaN : xMin,
    xMax: empty ? Number.NaN : xMax,
    nonFinite: lines.reduce((sum, line) => sum + line.nonFinite, 0),
    nonFiniteExact: lines.every(
      (line) => line.band === null || line.band.ranks !== null || line.nonFinite === 0,
    ),
    failed,
  };
}
