/**
 * Puts the rest of a series (`tail`) to what is held of it: its rows take the place of everything from its first
 * bucket, or its first x, on. Pure; the result has arrays of its own.
 */
import type { Column, ColumnName, Series } from "./frames.ts";

type Raw = Extract<Series, { kind: "raw" }>;
type Buckets = Extract<Series, { kind: "buckets" }>;

/** The whole series, or null if the two do not fit each other, so that it has to be asked for again. */
export function withTail(held: Series, tail: Series): Series | null {
  if (!tail.tail) return tail;
  if (held.gen !== tail.gen) return null;
  if (held.kind === "raw" && tail.kind === "raw") return rawWithTail(held, tail);
  if (held.kind === "buckets" && tail.kind === "buckets" && held.exp === tail.exp) {
    return bucketsWithTail(held, tail);
  }
  return null;
}

function rawWithTail(held: Raw, tail: Raw): Raw | null {
  if ((held.smooth === null) !== (tail.smooth === null)) return null;
  if (held.segment !== null || tail.segment !== null) return null;
  const from = tail.x[0] ?? Number.POSITIVE_INFINITY;
  const kept = held.x.findIndex((x) => x >= from);
  const n = kept < 0 ? held.x.length : kept;
  const smooth = held.smooth === null || tail.smooth === null ? null : joined(held.smooth, n, tail.smooth);
  return {
    ...tail,
    tail: false,
    smoothState: held.smoothState,
    x: joined(held.x, n, tail.x),
    y: joined(held.y, n, tail.y),
    smooth,
  };
}

function bucketsWithTail(held: Buckets, tail: Buckets): Buckets | null {
  const names = Object.keys(held.columns) as ColumnName[];
  if (names.some((name) => tail.columns[name] === undefined)) return null;
  let kept = 0;
  while (kept < held.rows && held.first + (held.idx?.[kept] ?? kept) < tail.first) kept++;
  const idx = new Uint32Array(kept + tail.rows);
  for (let i = 0; i < kept; i++) idx[i] = held.idx?.[i] ?? i;
  for (let i = 0; i < tail.rows; i++) idx[kept + i] = tail.first - held.first + (tail.idx?.[i] ?? i);
  const columns: Partial<Record<ColumnName, Column>> = {};
  for (const name of names) {
    const before = held.columns[name];
    const after = tail.columns[name];
    if (before !== undefined && after !== undefined) columns[name] = columnWithTail(before, kept, after);
  }
  const rows = kept + tail.rows;
  return { ...tail, tail: false, smoothState: held.smoothState, first: held.first, idx, rows, columns };
}

/** Values as float64: the two may be of different precision, or relative to different bases. */
function columnWithTail(before: Column, kept: number, after: Column): Column {
  const values = new Float64Array(kept + after.values.length);
  for (let i = 0; i < kept; i++) values[i] = before.base + (before.values[i] ?? 0);
  for (let i = 0; i < after.values.length; i++) values[kept + i] = after.base + (after.values[i] ?? 0);
  return { base: 0, values };
}

function joined(before: Float64Array, n: number, after: Float64Array): Float64Array {
  const whole = new Float64Array(n + after.length);
  whole.set(before.subarray(0, n));
  whole.set(after, n);
  return whole;
}
