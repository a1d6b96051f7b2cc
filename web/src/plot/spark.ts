/** A curve in the height of a row: its course and its extremes, as paths of an SVG. Pure. */
import type { Line, Plan } from "./plan.ts";

export interface Spark {
  /** The course, with gaps where there are some. */
  readonly course: string;
  /** From the lowest to the highest of each place, so that no spike is lost. */
  readonly extent: string;
}

/** The lowest and the highest finite value of a run's curve, and where they are. */
export interface Extremes {
  readonly low: { readonly x: number; readonly y: number };
  readonly high: { readonly x: number; readonly y: number };
  /** Width of the place in units of x; 0 where it is a point. */
  readonly width: number;
}

const curves = (plan: Plan): Line[] => plan.lines.filter((line) => line.attempt === 0);

export function extremes(plan: Plan): Extremes | null {
  let [low, high]: [Extremes["low"] | null, Extremes["high"] | null] = [null, null];
  let width = 0;
  for (const { x, y, band } of curves(plan)) {
    width = Math.max(width, band?.width ?? 0);
    for (let i = 0; i < x.length; i++) {
      const at = x[i] as number;
      const [least, most] = [(band?.low ?? y)[i] as number, (band?.high ?? y)[i] as number];
      if (low === null || least < low.y) low = { x: at, y: least };
      if (high === null || most > high.y) high = { x: at, y: most };
    }
  }
  return low === null || high === null ? null : { low, high, width };
}

export function spark(plan: Plan, width: number, height: number): Spark {
  const found = extremes(plan);
  if (found === null) return { course: "", extent: "" };
  const { low, high } = found;
  const [span, wide] = [high.y - low.y, plan.xMax - plan.xMin];
  const edge = 1.5;
  const left = (x: number): number =>
    round(wide > 0 ? edge + ((x - plan.xMin) / wide) * (width - 2 * edge) : width / 2);
  const top = (y: number): number =>
    round(span > 0 ? height - edge - ((y - low.y) / span) * (height - 2 * edge) : height / 2);
  const course: string[] = [];
  const extent: string[] = [];
  for (const { x, y, band, joined } of curves(plan)) {
    for (let i = 0; i < x.length; i++) {
      const at = left(x[i] as number);
      course.push(`${joined[i] === 1 ? "L" : "M"}${at} ${top(y[i] as number)}`);
      // A point without neighbours is a dot: a line of no length with round ends.
      if (joined[i] !== 1 && joined[i + 1] !== 1) course.push("h0");
      if (band !== null) extent.push(`M${at} ${top(band.low[i] as number)}V${top(band.high[i] as number)}`);
    }
  }
  return { course: course.join(""), extent: extent.join("") };
}

const round = (v: number): number => Math.round(v * 10) / 10;
