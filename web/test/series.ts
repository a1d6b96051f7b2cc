/** Short ways to write decoded series in tests. */
import type { Series } from "../src/data/frames.ts";

type Raw = Extract<Series, { kind: "raw" }>;
type Buckets = Extract<Series, { kind: "buckets" }>;

const head = {
  ...{ run: "r", key: "k", rank: 0, rev: 1, gen: 0, sealed: false, nTotal: 1, lastT: 0, attempt: 0 },
  ...{ tail: false, count: 0, smoothState: [0, 0] as const },
};

export function raw(x: number[], y: number[], more: Partial<Raw> = {}): Raw {
  return {
    ...head,
    kind: "raw",
    x: Float64Array.from(x),
    y: Float64Array.from(y),
    smooth: null,
    segment: null,
    lastX: x.at(-1) ?? Number.NaN,
    lastY: y.at(-1) ?? Number.NaN,
    xMin: Math.min(...x),
    xMax: Math.max(...x),
    ...more,
  };
}

export function buckets(
  exp: number,
  mean: number[],
  more: Partial<Buckets> & { low?: number[]; high?: number[] } = {},
): Buckets {
  const { low = mean, high = mean, ...rest } = more;
  const column = (values: number[]) => ({ base: 0, values: Float64Array.from(values) });
  return {
    ...head,
    kind: "buckets",
    exp,
    first: 0,
    idx: null,
    rows: mean.length,
    columns: {
      n: column(mean.map(() => 4)),
      min: column(low),
      max: column(high),
      mean: column(mean),
      last: column(mean),
    },
    lastX: mean.length * 2 ** exp - 1,
    lastY: mean.at(-1) ?? Number.NaN,
    xMin: 0,
    xMax: mean.length * 2 ** exp - 1,
    ...rest,
  };
}
