/**
 * A series over another key goes back where that key does (a data set read again, a restart). Each piece is drawn by
 * itself, so that no line joins the end of one with the beginning of the next.
 */
import type { Column, ColumnName, Series } from "./frames.ts";

/** The pieces of a series, x ascending in each; the series itself if there is one only. The last has its newest point. */
export function pieces(series: Series): Series[] {
  const found = cutUp(series);
  return found.map((piece, i) => (i === found.length - 1 ? piece : { ...piece, lastX: Number.NaN }));
}

function cutUp(series: Series): Series[] {
  if (series.kind === "raw" && series.segment !== null) {
    const { x, y, smooth } = series;
    return ranges(series.segment).map(([begin, end]) => ({
      ...series,
      x: x.subarray(begin, end),
      y: y.subarray(begin, end),
      smooth: smooth === null ? null : smooth.subarray(begin, end),
      segment: null,
    }));
  }
  if (series.kind !== "buckets" || series.columns.segment === undefined) return [series];
  const { idx } = series;
  return ranges(series.columns.segment.values).map(([begin, end]) => ({
    ...series,
    // Pieces are never dense: their indices do not begin at 0.
    idx:
      idx === null
        ? Uint32Array.from({ length: end - begin }, (_, i) => begin + i)
        : idx.subarray(begin, end),
    rows: end - begin,
    columns: cut(series.columns, begin, end),
  }));
}

function cut(
  columns: Readonly<Partial<Record<ColumnName, Column>>>,
  begin: number,
  end: number,
): Partial<Record<ColumnName, Column>> {
  const kept = Object.entries(columns).filter(([name]) => name !== "segment");
  return Object.fromEntries(
    kept.map(([name, { base, values }]) => [name, { base, values: values.subarray(begin, end) }]),
  );
}

/** Runs of equal numbers. */
function ranges(segment: ArrayLike<number>): [begin: number, end: number][] {
  const found: [number, number][] = [];
  let begin = 0;
  for (let i = 1; i <= segment.length; i++) {
    if (i < segment.length && segment[i] === segment[begin]) continue;
    found.push([begin, i]);
    begin = i;
  }
  return found;
}
