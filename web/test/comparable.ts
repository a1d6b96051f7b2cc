/** Decoded frames in the shape of the JSON answer of series:query, so that one can be held against the other. */
import { ALL_RANKS, type Column, type Frame, type Series } from "../src/data/frames.ts";

type Word = number | "NaN" | "Infinity" | "-Infinity";

export interface JsonSeries {
  run: string;
  key: string;
  rank: number | null;
  kind: string;
  attempt?: number;
  n_total?: number;
  last_x?: Word;
  last_y?: Word;
  last_t?: number;
  x_min?: number;
  x_max?: number;
  first_bucket?: number;
  idx?: number[];
  n?: number[];
  min?: Word[];
  max?: Word[];
  last?: Word[];
  mean?: Word[];
  low?: number[];
  high?: number[];
  ranks?: number[];
  bad?: number[];
  bad_rank?: number[];
  first?: Word[];
  sumsq?: Word[];
  smooth?: Word[];
  segment?: number[];
  std?: Word[];
  se?: Word[];
  sealed?: boolean;
  tail?: boolean;
  count?: number;
  smooth_state?: Word[];
  grid?: number[][];
  y_range?: number[];
  x?: number[];
  y?: Word[];
}

export interface JsonPanel {
  id: number;
  exp: number;
  series: JsonSeries[];
}

const word = (v: number): Word => (Number.isFinite(v) ? v : (String(v) as Word));
const words = (values: Iterable<number>): Word[] => Array.from(values, word);

function columnWords(column: Column): Word[] {
  return words(Array.from(column.values, (v) => v + column.base));
}

/** `mean` may be a float32 on the wire, so it is compared with that precision. */
export function sameMean(a: Word[], b: Word[]): boolean {
  return (
    a.length === b.length &&
    a.every((v, i) => Math.fround(Number(v)) === Math.fround(Number(b[i])) || v === b[i])
  );
}

type Rows = Exclude<Series, { kind: "unchanged" | "absent" | "error" }>;

function hasRows(series: Series): series is Rows {
  return !["unchanged", "absent", "error"].includes(series.kind);
}

function seriesJson(series: Series): JsonSeries {
  const { run, key, kind } = series;
  const rank = series.rank === ALL_RANKS ? null : series.rank;
  if (!hasRows(series)) return { run, key, rank, kind };
  const head = {
    ...{
      run,
      key,
      rank,
      kind,
      n_total: series.nTotal,
      last_x: word(series.lastX),
      last_y: word(series.lastY),
      ...(series.attempt > 0 ? { attempt: series.attempt } : {}),
      ...(series.sealed ? { sealed: true } : {}),
      ...(series.tail ? { tail: true } : {}),
      ...(series.count > 0 ? { count: series.count } : {}),
      ...(series.smoothState[1] !== 0 && series.kind !== "density"
        ? { smooth_state: words(series.smoothState) }
        : {}),
    },
    ...{ last_t: series.lastT, x_min: series.xMin, x_max: series.xMax },
  };
  if (series.kind === "raw") {
    const smooth = series.smooth === null ? {} : { smooth: words(series.smooth) };
    const segment = series.segment === null ? {} : { segment: [...series.segment] };
    return { ...head, x: [...series.x], y: words(series.y), ...smooth, ...segment };
  }
  if (series.kind === "density") {
    const { cells, counts } = series;
    const grid = Array.from({ length: series.columns }, (_, i) => [
      ...counts.slice(i * cells, (i + 1) * cells),
    ]);
    return { ...head, first_bucket: series.first, grid, y_range: [...series.yRange] };
  }
  const columns = Object.fromEntries(
    Object.entries(series.columns).map(([name, column]) => [name, columnWords(column)]),
  );
  const idx = series.idx === null ? Array.from({ length: series.rows }, (_, i) => i) : [...series.idx];
  return { ...head, first_bucket: series.first, idx, ...columns };
}

export function panelJson(frame: Frame): JsonPanel {
  return { id: frame.panel, exp: frame.exp, series: frame.series.map(seriesJson) };
}

/** The panel with only what both sides say, and `mean` taken out for `sameMean`. */
export function exactParts(panel: JsonPanel): { panel: JsonPanel; means: Word[][] } {
  const names =
    "run key rank kind attempt n_total last_x last_y last_t x_min x_max first_bucket idx n min max last low high ranks bad bad_rank first sumsq smooth segment std se sealed tail count smooth_state grid y_range x y".split(
      " ",
    );
  const exact = (series: JsonSeries): JsonSeries =>
    Object.fromEntries(
      Object.entries(series).filter(([name]) => names.includes(name)),
    ) as unknown as JsonSeries;
  const { id, exp, series } = panel;
  return { panel: { id, exp, series: series.map(exact) }, means: series.map((one) => one.mean ?? []) };
}
