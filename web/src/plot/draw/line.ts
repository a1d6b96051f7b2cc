/** Strokes of one panel on a 2D canvas, in device pixels. Knows no axis: the caller gives the two mappings. */
import type { Line, Plan } from "../plan.ts";
import type { Stroke } from "../stroke.ts";
import { drawBad } from "./bad.ts";
import { drawDensity } from "./density.ts";

export interface Surface {
  readonly context: CanvasRenderingContext2D;
  readonly toX: (x: number) => number;
  readonly toY: (y: number) => number;
  /** Device pixels per CSS pixel. */
  readonly ratio: number;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Of each line of the plan. */
  readonly strokes: readonly Stroke[];
  /** Paper colour, for the halo of the last point. */
  readonly halo: string;
  /** True on a log axis: values ≤ 0 cannot be drawn and lift the pen. */
  readonly positive: boolean;
  /** Whether what was logged is behind smoothed lines. */
  readonly raw: boolean;
  /** Of a density, the faintest first. */
  readonly shades: readonly string[];
}

const BAND_ALPHA = 0.16;
/** With more lines than that, bands would only make a fog; spikes are stroked all the same. */
export const BANDS_MAX = 12;
/** Lines beyond this share the picture: each is half transparent. */
const OPAQUE_MAX = 100;
const HALO_PX = 2;
const RAW_ALPHA = 0.25;
/** What a later attempt has superseded stays in the background: lighter, and dashed (CSS pixels on and off). */
const SUPERSEDED_ALPHA = 0.55;
const SUPERSEDED_DASH = [4, 3];

/** Stroke width in CSS pixels for a panel of `lines` lines. */
export function strokeWidth(lines: number): number {
  return lines <= 20 ? 1.25 : lines <= 100 ? 1 : 0.75;
}

/** Draws bands first, then lines, so that no band covers a line; lines in front come last. */
export function drawPlan(plan: Plan, to: Surface): void {
  const { context: c } = to;
  c.save();
  c.beginPath();
  // The last point's dot may stand half outside.
  const air = 4 * to.ratio;
  c.rect(to.left - air, to.top - air, to.width + 2 * air, to.height + air);
  c.clip();
  c.lineJoin = "round";
  if (plan.density !== null) drawDensity(plan.density, to.shades, to);
  const many = plan.lines.length > BANDS_MAX;
  plan.lines.forEach((line, i) => {
    const { colour, front } = to.strokes[i]!;
    c.fillStyle = colour;
    if (line.attempt === 0 && (front || !many) && !isSmoothOnly(line, to)) drawBand(line, to);
  });
  for (const front of [false, true]) {
    plan.lines.forEach((line, i) => {
      if (to.strokes[i]!.front === front) strokeLine(line, to.strokes[i]!, plan.lines.length, to);
    });
  }
  c.restore();
}

function strokeLine(line: Line, stroke: Stroke, lines: number, to: Surface): void {
  const { context: c } = to;
  const superseded = line.attempt > 0;
  const alpha = lines > OPAQUE_MAX && !stroke.front ? 0.5 : 1;
  const width = (stroke.width ?? strokeWidth(lines)) * to.ratio;
  if (stroke.front) {
    c.strokeStyle = to.halo;
    c.lineWidth = width + 2 * HALO_PX * to.ratio;
    c.setLineDash([]);
    drawLine(line, line.y, to);
  }
  c.lineWidth = width;
  c.globalAlpha = superseded ? SUPERSEDED_ALPHA * alpha : alpha;
  const dash = superseded ? SUPERSEDED_DASH : stroke.dash;
  c.setLineDash(dash.map((length) => length * to.ratio));
  c.strokeStyle = stroke.colour;
  c.fillStyle = stroke.colour;
  if (line.raw !== null && to.raw) {
    c.globalAlpha *= RAW_ALPHA;
    drawLine(line, line.raw, to);
    drawSpikes(line, to);
    c.globalAlpha = alpha;
  }
  drawLine(line, line.y, to);
  c.setLineDash([]);
  if (line.raw === null) drawSpikes(line, to);
  drawPoints(line, to);
  c.globalAlpha = 1;
  drawBad(line, to);
  if (isSmoothOnly(line, to)) return;
  drawOutside(line, to);
  // Hundreds of dots would be a wall at the right edge.
  if (stroke.front || lines <= OPAQUE_MAX) drawLast(line, to);
}

/** Whether nothing of what was logged is drawn. */
function isSmoothOnly(line: Line, to: Surface): boolean {
  return line.raw !== null && !to.raw;
}

/** Fills min…max bucket by bucket, joined where the line is joined; at least half a pixel high. */
function drawBand(line: Line, to: Surface): void {
  const { context: c } = to;
  if (line.band === null) return;
  const { low, high } = line.band;
  const bottom = (i: number): number => to.toY(to.positive ? Math.max(low[i]!, Number.MIN_VALUE) : low[i]!);
  c.globalAlpha = BAND_ALPHA;
  let start = 0;
  for (let i = 1; i <= line.x.length; i++) {
    if (i < line.x.length && line.joined[i] === 1) continue;
    c.beginPath();
    for (let k = start; k < i; k++) c.lineTo(to.toX(line.x[k]!), to.toY(high[k]!));
    for (let k = i - 1; k >= start; k--) c.lineTo(to.toX(line.x[k]!), bottom(k));
    c.fill();
    start = i;
  }
  c.globalAlpha = 1;
}

/** Strokes a line through these heights at its vertices. */
function drawLine(line: Line, heights: Float64Array, to: Surface): void {
  const { context: c } = to;
  let down = false;
  c.beginPath();
  for (let i = 0; i < line.x.length; i++) {
    if (to.positive && heights[i]! <= 0) {
      down = false;
      continue;
    }
    const x = to.toX(line.x[i]!);
    const y = to.toY(heights[i]!);
    if (down && line.joined[i] === 1) c.lineTo(x, y);
    else c.moveTo(x, y);
    down = true;
  }
  c.stroke();
}

function drawSpikes(line: Line, to: Surface): void {
  const { context: c } = to;
  if (line.band === null || line.band.spikes.length === 0) return;
  const { low, high, spikes } = line.band;
  c.beginPath();
  for (const i of spikes) {
    if (to.positive && high[i]! <= 0) continue;
    const x = to.toX(line.x[i]!);
    c.moveTo(x, to.toY(high[i]!));
    c.lineTo(x, to.toY(to.positive ? Math.max(low[i]!, line.y[i]!) : low[i]!));
  }
  c.stroke();
}

/** Dots where there is less than one point in 8 pixels, and where a point has no neighbour to be joined to. */
function drawPoints(line: Line, to: Surface): void {
  const { context: c } = to;
  const length = line.x.length;
  if (length === 0) return;
  const span = to.toX(line.x[length - 1]!) - to.toX(line.x[0]!);
  const sparse = span / length > 8 * to.ratio || length === 1;
  const radius = 1.75 * to.ratio;
  c.beginPath();
  for (let i = 0; i < length; i++) {
    const alone = line.joined[i] === 0 && (i + 1 === length || line.joined[i + 1] === 0);
    if ((!sparse && !alone) || (to.positive && line.y[i]! <= 0)) continue;
    const x = to.toX(line.x[i]!);
    const y = to.toY(line.y[i]!);
    c.moveTo(x + radius, y);
    c.arc(x, y, radius, 0, 2 * Math.PI);
  }
  c.fill();
}

/** Ticks at the edge for what lies above or below the range of y: nothing vanishes without a sign. */
function drawOutside(line: Line, to: Surface): void {
  const { context: c } = to;
  const length = 5 * to.ratio;
  const bottom = to.top + to.height;
  c.beginPath();
  for (let i = 0; i < line.x.length; i++) {
    const x = to.toX(line.x[i]!);
    if (x < to.left || x > to.left + to.width) continue;
    const logged = (line.raw ?? line.y)[i]!;
    const low = line.band === null ? logged : line.band.low[i]!;
    const high = line.band === null ? logged : line.band.high[i]!;
    if (to.toY(high) < to.top) {
      c.moveTo(x, to.top);
      c.lineTo(x, to.top + length);
    }
    if ((!to.positive || low > 0) && to.toY(low) > bottom) {
      c.moveTo(x, bottom);
      c.lineTo(x, bottom - length);
    }
  }
  c.stroke();
}

/** The newest point, exact, with a halo of paper so that it never melts into its line. */
function drawLast(line: Line, to: Surface): void {
  const { context: c } = to;
  if (line.last === null || (to.positive && line.last.y <= 0)) return;
  c.beginPath();
  c.arc(to.toX(line.last.x), to.toY(line.last.y), 2.5 * to.ratio, 0, 2 * Math.PI);
  c.fill();
  const width = c.lineWidth;
  c.strokeStyle = to.halo;
  c.lineWidth = to.ratio;
  c.stroke();
  c.lineWidth = width;
}
