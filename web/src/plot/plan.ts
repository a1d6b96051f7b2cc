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
import { type GroupBand, keyOfX, type XKind } from "../data/types.ts";

export interface Line {
  readonly run: string;
  readonly rank: number;
  /** Position and height of each vertex, x ascending; y is never NaN, `joined` says where the pen is down. */
  readonly x: Float64Array;
  readonly y: Float64Array;
  /** joined[i] = 1: vertex i is connected to vertex i - 1. */
  readonly joined: Uint8Array;
  /** Where y is smoothed: what was logged (of a bucket, the mean), vertex by vertex. */
  readonly raw: Float64Array | null;
  /** Where values are that are not finite, and which: NaN, or an infinity. */
  readonly bad: { readonly x: Float64Array; readonly y: Float64Array };
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
  /** Of a line that stands for several runs. */
  readonly votes: BandVotes | null;
}

/** Bucket by bucket: of how many runs the mean is, and how far they are apart. */
export interface BandVotes {
  readonly n: Float64Array;
  readonly std: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
  /** Runs of the group. */
  readonly runs: number;
}

/** How many series cross each cell: column i is bucket `first + i`, its lowest cell first. */
export interface Density {
  readonly first: number;
  readonly width: number;
  readonly columns: number;
  readonly cells: number;
  readonly counts: Uint16Array;
  readonly yRange: readonly [number, number];
  /** Series in it. */
  readonly series: number;
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
  /** Points whose x, the value of a key, is of an earlier step. */
  readonly carried: number;
  /** Under the lines, where there are too many series. */
  readonly density: Density | null;
}

const GAP_FACTOR = 8;
const SPIKE_FACTOR = 1;

/** Joins each vertex to the one before, except over a gap. `x` is ascending. */
export function joints(x: Float64Array, breakBefore: Uint8Array): Uint8Array {
  const joined = new Uint8Array(x.length);
  const limit = GAP_FACTOR * (isEven(x) ? Number.POSITIVE_INFINITY : medianStep(x));
  for (let i = 1; i < x.length; i++) {
    const step = (x[i] as number) - (x[i - 1] as number);
    joined[i] = breakBefore[i] === 0 && !(step > limit && limit > 0) ? 1 : 0;
  }
  return joined;
}

/** Whether no step can be a gap, whatever the median is: most series are logged at even steps. */
function isEven(x: Float64Array): boolean {
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 1; i < x.length; i++) {
    const step = (x[i] as number) - (x[i - 1] as number);
    if (step < least) least = step;
    if (step > most) most = step;
  }
  return most <= GAP_FACTOR * least;
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
  /** Indices of finite vertices in the source, and of the others. */
  readonly rows: number[];
  readonly others: number[];
  readonly breakBefore: Uint8Array;
}

/** Leaves non-finite values out and remembers where they cut the line. */
function finiteRows(length: number, at: (i: number) => number): Kept {
  const rows: number[] = [];
  const others: number[] = [];
  const breaks: number[] = [];
  let cut = 0;
  for (let i = 0; i < length; i++) {
    if (!Number.isFinite(at(i))) {
      others.push(i);
      cut = 1;
      continue;
    }
    rows.push(i);
    breaks.push(cut);
    cut = 0;
  }
  return { rows, others, breakBefore: Uint8Array.from(breaks) };
}

/** A loop: `Float64Array.from` takes ten times as long, and a page of charts picks a million values. */
function pick(rows: readonly number[], at: (i: number) => number): Float64Array {
  const picked = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) picked[i] = at(rows[i] as number);
  return picked;
}

const read =
  (column: Column) =>
  (i: number): number =>
    column.base + (column.values[i] as number);

type Raw = Extract<Series, { kind: "raw" }>;
type Buckets = Extract<Series, { kind: "buckets" }>;
type Group = Extract<Series, { kind: "group" }>;

function head(series: Series): Pick<Line, "run" | "rank" | "attempt" | "last"> {
  const { run, rank, attempt } = series;
  // A superseded part has no newest point: the curve has.
  const last = attempt === 0 && Number.isFinite(series.lastX) && Number.isFinite(series.lastY);
  return { run, rank, attempt, last: last ? { x: series.lastX, y: series.lastY } : null };
}

function rawLine(series: Raw): Line {
  const at = (i: number): number => series.y[i] as number;
  const { rows, others, breakBefore } = finiteRows(series.y.length, at);
  const x = pick(rows, (i) => series.x[i] as number);
  const logged = pick(rows, at);
  const { smooth } = series;
  return {
    ...head(series),
    x,
    y: smooth === null ? logged : pick(rows, (i) => smooth[i] as number),
    raw: smooth === null ? null : logged,
    joined: joints(x, breakBefore),
    bad: { x: pick(others, (i) => series.x[i] as number), y: pick(others, at) },
    band: null,
    nonFinite: others.length,
  };
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
  const { min, max, mean, n, last, smooth } = series.columns;
  const centre = mean ?? last;
  if (min === undefined || max === undefined || centre === undefined) {
    throw new Error("a bucketed series needs the columns min, max and mean or last");
  }
  const { rows, breakBefore } = finiteRows(series.rows, read(min));
  const middle = middles(series, xKind);
  const x = pick(rows, middle);
  const low = pick(rows, read(min));
  const high = pick(rows, read(max));
  return {
    ...head(series),
    x,
    y: pick(rows, smoothOr(smooth, centre)),
    raw: smooth === undefined ? null : pick(rows, read(centre)),
    joined: joints(x, breakBefore),
    bad: bucketBad(series, middle),
    band: {
      low,
      high,
      n: n === undefined ? null : pick(rows, read(n)),
      width: 2 ** series.exp,
      spikes: spikes(low, high),
      ranks: bandRanks(series, rows),
      votes: null,
    },
    nonFinite: bucketNonFinite(series, n),
  };
}

const middles =
  (series: Buckets | Group, xKind: XKind) =>
  (i: number): number => {
    const b = series.first + (series.idx === null ? i : (series.idx[i] as number));
    return bucketMiddle(b, series.exp, xKind, series.xMin, series.xMax);
  };

/** The smoothed value; a bucket that ends with one that is not finite has none, and its mean stands for it. */
const smoothOr =
  (smooth: Column | undefined, centre: Column) =>
  (i: number): number => {
    const value = smooth === undefined ? Number.NaN : read(smooth)(i);
    return Number.isFinite(value) ? value : read(centre)(i);
  };

/** Buckets that end with, or have nothing but, what is not finite. */
function bucketBad(series: Buckets, middle: (i: number) => number): Line["bad"] {
  const { min, last, bad } = series.columns;
  const rows: number[] = [];
  const worst = (i: number): number => {
    if (bad !== undefined) return read(bad)(i) > 0 ? Number.NaN : 0;
    const value = last === undefined ? 0 : read(last)(i);
    return Number.isFinite(value) && min !== undefined && !Number.isFinite(read(min)(i)) ? Number.NaN : value;
  };
  for (let i = 0; i < series.rows; i++) if (!Number.isFinite(worst(i))) rows.push(i);
  return { x: pick(rows, middle), y: pick(rows, worst) };
}

/** Several runs as one: their mean, and around it what `band` says. */
function groupLine(series: Group, xKind: XKind, band: GroupBand): Line {
  const { n, mean, std, se, min, max } = series.columns;
  if (n === undefined || mean === undefined || std === undefined || min === undefined || max === undefined)
    throw new Error("a group needs the columns n, mean, std, min and max");
  const { rows, breakBefore } = finiteRows(series.rows, read(mean));
  const x = pick(rows, middles(series, xKind));
  const around = (sign: -1 | 1): Float64Array => {
    if (band === "minmax") return pick(rows, read(sign < 0 ? min : max));
    const spread = band === "std" ? std : band === "se" ? (se ?? std) : null;
    return pick(rows, (i) => read(mean)(i) + (spread === null ? 0 : sign * read(spread)(i)));
  };
  const none = new Float64Array();
  return {
    ...head(series),
    run: JSON.stringify(JSON.parse(series.run)),
    // The newest point is a mean over a bucket like the others.
    last: null,
    x,
    y: pick(rows, read(mean)),
    raw: null,
    joined: joints(x, breakBefore),
    bad: { x: none, y: none },
    band: {
      low: around(-1),
      high: around(1),
      n: null,
      width: 2 ** series.exp,
      spikes: [],
      ranks: null,
      votes: {
        n: pick(rows, read(n)),
        std: pick(rows, read(std)),
        min: pick(rows, read(min)),
        max: pick(rows, read(max)),
        runs: series.count,
      },
    },
    nonFinite: 0,
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
export function plan(series: readonly Series[], x: XKind, band: GroupBand = "std"): Plan {
  const lines: Line[] = [];
  let density: Density | null = null;
  let xMin = Number.POSITIVE_INFINITY;
  let xMax = Number.NEGATIVE_INFINITY;
  let failed = 0;
  for (const one of series.flatMap(pieces)) {
    if (one.kind === "error") failed += 1;
    else if (one.kind === "raw") lines.push(rawLine(one));
    else if (one.kind === "buckets") lines.push(bucketLine(one, x));
    else if (one.kind === "group") lines.push(groupLine(one, x, band));
    else if (one.kind === "density") density = fieldOf(one);
    if (Number.isNaN(one.xMin) || one.kind === "absent" || one.kind === "unchanged" || one.kind === "error")
      continue;
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
    carried:
      keyOfX(x) === null ? 0 : series.reduce((sum, one) => sum + (one.kind === "group" ? 0 : one.count), 0),
    density,
  };
}

function fieldOf(series: Extract<Series, { kind: "density" }>): Density {
  const { first, columns, cells, counts, yRange, count } = series;
  return { first, width: 2 ** series.exp, columns, cells, counts, yRange, series: count };
}
