/** What of a plan a logarithmic x axis can show: pure. */
import { lowerBound } from "./extent.ts";
import type { Band, Line, Plan } from "./plan.ts";

/** The same plan without what is at x ≤ 0, and how many points or buckets that were. */
export function beyondZero(plan: Plan): { plan: Plan; hidden: number } {
  let hidden = 0;
  let xMin = plan.xMax;
  const lines = plan.lines.map((line) => {
    const from = lowerBound(line.x, Number.MIN_VALUE);
    hidden += from;
    xMin = Math.min(xMin, line.x[from] ?? xMin);
    return from === 0 ? line : cut(line, from);
  });
  return { plan: { ...plan, lines, xMin, density: null }, hidden };
}

function cut(line: Line, from: number): Line {
  const bad = lowerBound(line.bad.x, Number.MIN_VALUE);
  const joined = line.joined.slice(from);
  joined[0] = 0;
  return {
    ...line,
    x: line.x.subarray(from),
    y: line.y.subarray(from),
    raw: line.raw?.subarray(from) ?? null,
    joined,
    bad: { x: line.bad.x.subarray(bad), y: line.bad.y.subarray(bad) },
    band: line.band === null ? null : cutBand(line.band, from),
    last: line.last !== null && line.last.x > 0 ? line.last : null,
  };
}

function cutBand(band: Band, from: number): Band {
  const columns = <T extends object>(of: T | null): T | null =>
    of === null
      ? null
      : (Object.fromEntries(
          Object.entries(of).map(([name, v]) => [name, v instanceof Float64Array ? v.subarray(from) : v]),
        ) as T);
  return {
    ...band,
    low: band.low.subarray(from),
    high: band.high.subarray(from),
    n: band.n?.subarray(from) ?? null,
    spikes: band.spikes.filter((i) => i >= from).map((i) => i - from),
    ranks: columns(band.ranks),
    votes: columns(band.votes),
  };
}
