/**
 * Crosshair marks and the tooltip of one chart. Plain DOM that is written in the pointer's event, never a render:
 * hovering redraws no canvas. The nearest eight lines are listed, sorted by value.
 */
import type { XKind } from "../data/types.ts";
import * as format from "../format.ts";
import { t } from "../strings.ts";
import { countAt } from "./draw/density.ts";
import { nearest } from "./extent.ts";
import type { Mark } from "./marks.ts";
import type { Line, Plan } from "./plan.ts";
import styles from "./tooltip.module.css";

export interface Hover {
  readonly plan: Plan;
  readonly x: number;
  readonly kind: XKind;
  readonly toLeft: (x: number) => number;
  readonly toTop: (y: number) => number;
  readonly pointerTop: number;
  /** The value at the pointer's height. */
  readonly y: number;
  readonly colours: readonly string[];
  readonly words: boolean;
  /** What a line is called where it is not alone; null = by its rank and attempt. */
  readonly nameOf: ((line: Line) => string) | null;
  /** Lines that are listed however far from the pointer they are. */
  readonly always: (line: Line) => boolean;
  /** Marks on the x axis that the pointer is at. */
  readonly marks?: readonly Mark[];
}

interface Hit {
  readonly line: Line;
  readonly at: number;
  readonly x: number;
  readonly y: number;
  readonly left: number;
  readonly top: number;
  readonly colour: string;
  /** The point as it was logged; false for the mean of a bucket. */
  readonly exact: boolean;
}

const LINES_MAX = 8;

/** Which points the crosshair meets: of every line the one nearest in x, then the nearest to the pointer. */
export function hits(hover: Hover): { shown: Hit[]; more: number } {
  const { lines } = hover.plan;
  const first: Near[] = [];
  const others: Near[] = [];
  let all = 0;
  // A thousand lines at every move of the pointer: only those that are shown become more than a distance.
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] as Line;
    const at = nearest(line, hover.x);
    if (at < 0) continue;
    all += 1;
    const distance = Math.abs(hover.toTop(pointAt(line, at, hover.x).y) - hover.pointerTop);
    insert(hover.always(line) ? first : others, { i, at, distance });
  }
  const shown = [...first, ...others].slice(0, LINES_MAX).map((near) => hitOf(hover, near));
  return { shown: shown.sort((a, b) => b.y - a.y), more: all - shown.length };
}

interface Near {
  readonly i: number;
  readonly at: number;
  readonly distance: number;
}

/** Keeps the nearest in their order. */
function insert(kept: Near[], near: Near): void {
  let place = kept.length;
  while (place > 0 && (kept[place - 1] as Near).distance > near.distance) place -= 1;
  if (place >= LINES_MAX) return;
  kept.splice(place, 0, near);
  if (kept.length > LINES_MAX) kept.pop();
}

function hitOf(hover: Hover, { i, at }: Near): Hit {
  const line = hover.plan.lines[i] as Line;
  const point = pointAt(line, at, hover.x);
  const colour = hover.colours[i] ?? "";
  return { line, at, ...point, left: hover.toLeft(point.x), top: hover.toTop(point.y), colour };
}

/** The vertex, or the exact last point when the pointer is nearer to that. */
function pointAt(line: Line, at: number, x: number): { x: number; y: number; exact: boolean } {
  const exact = line.band === null && line.raw === null;
  const vertex = { x: line.x[at] as number, y: line.y[at] as number, exact };
  const { last } = line;
  // The newest point as it was logged is no point of a smoothed curve.
  const nearLast = last !== null && line.raw === null && Math.abs(last.x - x) < Math.abs(vertex.x - x);
  return nearLast ? { ...last, exact: true } : vertex;
}

function element(tag: string, className: string | undefined, text = ""): HTMLElement {
  const made = document.createElement(tag);
  if (className !== undefined) made.className = className;
  made.textContent = text;
  return made;
}

export class Tooltip {
  private readonly box = element("div", styles.box);
  private readonly dots: HTMLElement[] = [];

  private over: HTMLElement | null = null;

  /** Goes into the overlay of a plot, which may be built anew. */
  move(over: HTMLElement): void {
    this.over = over;
    over.append(this.box, ...this.dots);
    this.hide();
  }

  remove(): void {
    this.box.remove();
    for (const dot of this.dots) dot.remove();
  }

  hide(): void {
    this.box.hidden = true;
    for (const dot of this.dots) dot.hidden = true;
  }

  show(hover: Hover): void {
    // Of many lines a chart that only follows the crosshair would mark eight at random.
    if (!hover.words && hover.plan.lines.length > LINES_MAX) {
      this.hide();
      return;
    }
    const { shown, more } = hits(hover);
    this.placeDots(shown);
    this.box.hidden = !hover.words || (shown.length === 0 && hover.plan.density === null);
    if (this.box.hidden) return;
    const head = element("div", styles.head, where(shown[0], hover));
    const ranks = new Set(hover.plan.lines.map((line) => line.rank)).size;
    const nameOf = hover.nameOf ?? ((line: Line) => rankName(line, ranks > 1));
    // Beside others a value is compared, so it has five digits; alone it is read, so it has all.
    const brief = hover.nameOf !== null && shown.length > 1;
    const rows = shown.flatMap((hit) => [row(hit, nameOf(hit.line), brief), ...outliers(hit)]);
    const { density } = hover.plan;
    const here = density === null ? null : countAt(density, hover.x, hover.y);
    const said = [
      ...(more > 0 ? [t.chart.more(more)] : []),
      ...(here === null ? [] : [t.chart.densityHere(here)]),
    ];
    const rest = said.map((text) => element("div", styles.head, text));
    const marks = (hover.marks ?? []).map((mark) => element("div", styles.head, mark.text));
    this.box.replaceChildren(head, ...rows, ...rest, ...marks);
    this.placeBox(shown[0]?.left ?? 0, hover.pointerTop);
  }

  private placeDots(shown: readonly Hit[]): void {
    while (this.dots.length < shown.length) {
      const dot = element("i", styles.dot);
      this.dots.push(dot);
      this.over?.append(dot);
    }
    this.dots.forEach((dot, i) => {
      const hit = shown[i];
      dot.hidden = hit === undefined;
      if (hit === undefined) return;
      dot.style.background = hit.colour;
      dot.style.transform = `translate(${hit.left}px, ${hit.top}px)`;
    });
  }

  /** Beside the crosshair, on the side that has room, never outside of the window. */
  private placeBox(left: number, top: number): void {
    if (this.over === null) return;
    const { offsetWidth: width, offsetHeight: height } = this.box;
    const over = this.over.getBoundingClientRect();
    const room = document.documentElement.clientWidth - 4;
    const wanted = over.left + left + 12 + width <= room ? left + 12 : left - 12 - width;
    const x = Math.min(Math.max(wanted, 4 - over.left), room - over.left - width);
    const y = Math.min(Math.max(-24, top - height / 2), over.height - height + 24);
    this.box.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }
}

function where(hit: Hit | undefined, hover: Hover): string {
  if (hit === undefined) return format.position(hover.x, hover.kind);
  return format.position(hit.x, hover.kind, hit.exact ? 0 : hit.line.band?.width);
}

function rankName({ rank, attempt, band }: Line, named: boolean): string {
  const names = [
    ...(band !== null && band.ranks !== null ? [t.chart.bandMean] : named ? [t.chart.rank(rank)] : []),
    ...(attempt > 0 ? [t.chart.attempt(attempt)] : []),
  ];
  return names.join(", ");
}

/** Which ranks are the highest and the lowest where the pointer is, and what is not there. */
function outliers({ line, at, exact }: Hit): HTMLElement[] {
  const ranks = line.band?.ranks;
  if (!ranks || line.band === null || exact) return [];
  const told = (text: string, value = ""): HTMLElement => {
    const made = element("div", styles.row);
    made.append(element("i", styles.swatch), element("span", styles.name, text));
    if (value !== "") made.append(element("span", styles.value, value));
    return made;
  };
  const of = (values: Float64Array): number => values[at] as number;
  const missing = of(ranks.count) < ranks.most ? [t.chart.someRanks(of(ranks.count), ranks.most)] : [];
  const bad = of(ranks.bad) > 0 ? [t.chart.badRank(format.count(of(ranks.bad)), of(ranks.badRank))] : [];
  return [
    told(t.chart.highest(of(ranks.highest)), format.number(of(line.band.high))),
    told(t.chart.lowest(of(ranks.lowest)), format.number(of(line.band.low))),
    ...[...missing, ...bad].map((text) => told(text)),
  ];
}

function row(hit: Hit, called: string, brief: boolean): HTMLElement {
  const made = element("div", styles.row);
  const swatch = element("i", styles.swatch);
  swatch.style.background = hit.colour;
  const name = element("span", styles.name, called);
  const text = hit.exact && !brief ? format.exact(hit.y) : format.number(hit.y);
  const value = element("span", styles.value, text);
  made.append(swatch, name, value);
  const { band, raw } = hit.line;
  if (raw !== null)
    made.append(element("span", styles.extent, t.chart.logged(format.number(raw[hit.at] as number))));
  if (band?.votes) {
    const { votes } = band;
    const at = (values: Float64Array): string => format.number(values[hit.at] as number, 4);
    const spread = t.chart.spread(at(votes.std), at(votes.min), at(votes.max));
    const n = t.chart.ofRuns(format.count(votes.n[hit.at] as number), format.count(votes.runs));
    made.append(element("span", styles.extent, `${spread}  ${n}`));
  } else if (band !== null && band.ranks === null && !hit.exact) {
    const low = format.number(band.low[hit.at] as number);
    const high = format.number(band.high[hit.at] as number);
    const n = band.n === null ? "" : `  ${t.chart.count(format.count(band.n[hit.at] as number))}`;
    made.append(element("span", styles.extent, `${low} … ${high}${n}`));
  }
  return made;
}
