/**
 * Many devices over time as rows of cells: pure. A cell has the mean over its time, each value counting as long as it
 * held, and the lowest and highest value in it, so that a short dip is not averaged away unseen. Where nothing was
 * measured there is nothing, not zero.
 */
import { type Line, type Plan, spikes } from "./plan.ts";

export interface Cells {
  /** NaN where there is nothing. */
  readonly mean: Float64Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/** The cells of one line between two x. */
export function cellsOf(line: Line, from: number, to: number, columns: number): Cells {
  const [sum, weight] = [new Float64Array(columns), new Float64Array(columns)];
  const low = new Float64Array(columns).fill(Number.NaN);
  const high = new Float64Array(columns).fill(Number.NaN);
  const width = (to - from) / columns;
  const usual = usualStep(line.x);
  for (let i = 0; i < line.x.length; i++) {
    const [begin, end] = span(line, i, usual);
    const y = line.y[i] as number;
    const [least, most] = [(line.band?.low[i] ?? y) as number, (line.band?.high[i] ?? y) as number];
    const first = Math.max(0, Math.floor((begin - from) / width));
    const last = Math.min(columns - 1, Math.ceil((end - from) / width) - 1);
    for (let c = first; c <= Math.max(first, last) && c < columns; c++) {
      const part = Math.min(end, from + (c + 1) * width) - Math.max(begin, from + c * width);
      // A value at an instant counts a little, so that it is there.
      const counts = Math.max(part, width * 1e-9);
      if (part < 0) continue;
      sum[c] = (sum[c] as number) + y * counts;
      weight[c] = (weight[c] as number) + counts;
      low[c] = Math.min(Number.isNaN(low[c]) ? least : (low[c] as number), least);
      high[c] = Math.max(Number.isNaN(high[c]) ? most : (high[c] as number), most);
    }
  }
  return {
    mean: sum.map((total, c) => ((weight[c] as number) > 0 ? total / (weight[c] as number) : Number.NaN)),
    low,
    high,
  };
}

/** How long a vertex holds: to the next one, or as long as is usual before a gap. */
function span(line: Line, i: number, usual: number): [number, number] {
  const at = line.x[i] as number;
  const width = line.band?.width ?? 0;
  const begin = at - width / 2;
  const next = line.x[i + 1];
  if (next !== undefined && line.joined[i + 1] === 1) return [begin, next - width / 2];
  return [begin, Math.max(at + width / 2, begin + usual)];
}

function usualStep(x: Float64Array): number {
  if (x.length < 2) return 0;
  const steps = Float64Array.from(
    { length: x.length - 1 },
    (_, i) => (x[i + 1] as number) - (x[i] as number),
  ).sort();
  return steps[steps.length >> 1] as number;
}

/** Over all cells of a device. */
export interface Outcome {
  readonly last: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export function outcomeOf(line: Line, cells: Cells): Outcome {
  const there = cells.mean.filter((v) => !Number.isNaN(v));
  return {
    last: line.last?.y ?? Number.NaN,
    mean: there.length === 0 ? Number.NaN : there.reduce((a, b) => a + b, 0) / there.length,
    low: cells.low.reduce((a, b) => (b < a || Number.isNaN(a) ? b : a), Number.NaN),
    high: cells.high.reduce((a, b) => (b > a || Number.isNaN(a) ? b : a), Number.NaN),
  };
}

/** The middle of the values that are there; NaN without any. */
export function median(values: Iterable<number>): number {
  const there = Float64Array.from([...values].filter((v) => !Number.isNaN(v))).sort();
  const half = there.length >> 1;
  if (there.length === 0) return Number.NaN;
  return there.length % 2 === 1
    ? (there[half] as number)
    : ((there[half - 1] as number) + (there[half] as number)) / 2;
}

/** How far from the middle is too far: three times what is usual (1.4826 MAD), and at least a hundredth of the scale. */
export function outlierLimit(values: readonly number[], scale: number): number {
  const middle = median(values);
  return Math.max(scale / 100, 3 * 1.4826 * median(values.map((v) => Math.abs(v - middle))));
}

/** The middle device at each time as one line, with a band from the lowest to the highest of all. */
export function middle(rows: readonly Cells[], from: number, to: number, columns: number): Plan {
  const width = (to - from) / columns;
  const at = Array.from({ length: columns }, (_, c) => c).filter((c) =>
    rows.some((row) => !Number.isNaN(row.mean[c])),
  );
  const of = (pick: (values: number[]) => number, from_: keyof Cells): Float64Array =>
    Float64Array.from(at, (c) =>
      pick(rows.map((row) => row[from_][c] as number).filter((v) => !Number.isNaN(v))),
    );
  const [low, high] = [
    of((v) => v.reduce((a, b) => Math.min(a, b)), "low"),
    of((v) => v.reduce((a, b) => Math.max(a, b)), "high"),
  ];
  const line: Line = {
    run: "",
    rank: 0,
    x: Float64Array.from(at, (c) => from + (c + 0.5) * width),
    y: of(median, "mean"),
    raw: null,
    bad: { x: new Float64Array(), y: new Float64Array() },
    joined: Uint8Array.from(at, (c, i) => (i > 0 && at[i - 1] === c - 1 ? 1 : 0)),
    band: { low, high, n: null, width, spikes: spikes(low, high), ranks: null, votes: null },
    last: null,
    nonFinite: 0,
    attempt: 0,
  };
  const nothing = { nonFinite: 0, nonFiniteExact: true, failed: 0, carried: 0, density: null };
  return { lines: [line], xMin: from, xMax: to, ...nothing };
}
