/**
 * One chart: uPlot carries scales, x axis, cursor, selection and size; the lines are our draw plan, painted in
 * uPlot's draw hook. That way ranks keep their own x values (no joined arrays with holes) and bands and spikes
 * are first-class. No framework in here; the owner calls `update` and `destroy`.
 */
import uPlot from "uplot";
import type { Range, XKind } from "../data/types.ts";
import * as format from "../format.ts";
import type { ChartColours } from "./colour.ts";
import { drawPlan } from "./draw/line.ts";
import { logTicks, lowerBound, yExtent } from "./extent.ts";
import { type Mark, marksAt } from "./marks.ts";
import type { Line, Plan } from "./plan.ts";
import type { Stroke } from "./stroke.ts";
import { Tooltip } from "./tooltip.ts";

export interface ChartOptions {
  readonly x: XKind;
  readonly log: boolean;
  /** The y axis leaves out what is far from the rest. */
  readonly robust: boolean;
  readonly colours: ChartColours;
  /** How each line looks; asked anew whenever the chart is painted. */
  readonly strokes: (plan: Plan) => readonly Stroke[];
  /** What the tooltip calls a line; null = by rank and attempt. */
  readonly nameOf: ((line: Line) => string) | null;
  /** Lines that the tooltip always lists. */
  readonly always: (line: Line) => boolean;
  /** Charts with the same key share their crosshair. */
  readonly sync: string;
  readonly onZoom: (range: Range | null) => void;
  /** The crosshair is at this x under the pointer or by the keyboard; null when it has left. */
  readonly onHover: (x: number | null) => void;
  /** What is marked on the x axis. */
  readonly marks?: readonly Mark[];
  /** After the pixels are on the canvas; `hidden` counts values a log axis cannot show. */
  readonly onDrawn: (plan: Plan, hidden: number) => void;
}

export interface Picture {
  readonly plan: Plan;
  readonly view: Range;
  readonly yRange: Range;
  readonly yTicks: readonly number[];
  readonly options: ChartOptions;
}

const X_AXIS_H = 22;
const EMPTY: Plan = {
  lines: [],
  xMin: Number.NaN,
  xMax: Number.NaN,
  nonFinite: 0,
  nonFiniteExact: true,
  failed: 0,
};
/** Distances of ticks on an axis of seconds. */
const MILLISECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05];
const SECONDS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800,
];
const DAYS = [0.5, 1, 2, 5, 10, 20, 50].map((d) => d * 86_400);

export class Chart {
  private plot: uPlot;
  private readonly resize: ResizeObserver;
  private readonly tooltip = new Tooltip();
  private plan: Plan = EMPTY;
  private range: Range | null = null;
  private hidden = 0;
  private yRange: Range = [0, 1];
  /** True while the pointer is on this chart, not on one that follows its crosshair. */
  private hovered = false;
  /** True while the crosshair is moved by the keyboard. */
  private keyed = false;

  private readonly host: HTMLElement;
  private options: ChartOptions;

  constructor(host: HTMLElement, options: ChartOptions) {
    this.host = host;
    this.options = options;
    this.plot = this.create();
    this.tooltip.move(this.plot.over);
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(host);
  }

  /** Draws `plan`; `range` is the zoomed window of x, null = all there is. */
  update(plan: Plan, range: Range | null): void {
    this.plan = plan;
    this.range = range;
    this.refresh();
  }

  /** Applies new options (theme, log axis) by building the plot anew; the data stays. */
  restyle(options: ChartOptions): void {
    this.options = options;
    this.plot.destroy();
    this.plot = this.create();
    this.tooltip.move(this.plot.over);
    this.refresh();
  }

  destroy(): void {
    this.resize.disconnect();
    this.tooltip.remove();
    this.plot.destroy();
  }

  /** What the chart shows now, for a copy of it. */
  picture(): Picture {
    const { options, plan, yRange } = this;
    return { plan, view: this.view(), yRange, yTicks: this.yTicks(), options };
  }

  /** Where a value is, in device pixels of the canvas. */
  place(x: number, y: number): readonly [left: number, top: number] {
    return [this.plot.valToPos(x, "x", true), this.plot.valToPos(y, "y", true)];
  }

  /**
   * Moves the crosshair by this many points of the line that has the most of them, ±Infinity to an end; charts with
   * the same key follow. Returns where it is then, null where there is nothing.
   */
  step(by: number): number | null {
    const [low, high] = this.view();
    const longest = this.plan.lines.reduce<Line | null>(
      (a, b) => (a === null || b.x.length > a.x.length ? b : a),
      null,
    );
    const stops = longest?.x.filter((x) => x >= low && x <= high) ?? new Float64Array();
    if (stops.length === 0) return null;
    const at = this.plot.cursor.left ?? -1;
    const now = at < 0 ? -1 : lowerBound(stops, this.plot.posToVal(at, "x") - 1e-9 * (high - low));
    const to = Math.min(Math.max(now < 0 ? (by < 0 ? stops.length - 1 : 0) : now + by, 0), stops.length - 1);
    const x = stops[to] as number;
    this.keyed = true;
    const top = this.plot.valToPos(longest?.y[longest.x.indexOf(x)] ?? 0, "y");
    this.setCursor(this.plot.valToPos(x, "x"), top);
    return x;
  }

  /** Takes the crosshair away that the keyboard has set. */
  leave(): void {
    if (!this.keyed) return;
    this.setCursor(-10, -10);
    this.keyed = false;
  }

  /** Moves the crosshair here and in the charts that follow; the types leave the last argument out. */
  private setCursor(left: number, top: number): void {
    const set: (at: { left: number; top: number }, fire: boolean, publish: boolean) => void =
      this.plot.setCursor;
    set({ left, top }, true, true);
  }

  /** Paints the same data again, for other strokes. */
  repaint(): void {
    this.plot.redraw(false, false);
  }

  private view(): Range {
    if (this.range !== null) return this.range;
    const { xMin, xMax } = this.plan;
    if (Number.isNaN(xMin)) return [0, 1];
    return xMin === xMax ? [xMin - 0.5, xMax + 0.5] : [xMin, xMax];
  }

  private refresh(): void {
    const view = this.view();
    const extent = yExtent(this.plan, view, this.options);
    this.yRange = extent.range;
    this.hidden = extent.hidden;
    this.plot.setData(
      [
        [view[0], view[1]],
        [null, null],
      ],
      true,
    );
  }

  private fit(): void {
    const { width, height } = size(this.host);
    if (width !== this.plot.width || height !== this.plot.height) this.plot.setSize({ width, height });
  }

  private create(): uPlot {
    this.yRange = yExtent(this.plan, this.view(), this.options).range;
    const { colours, log, sync } = this.options;
    const config: uPlot.Options = {
      ...size(this.host),
      // Above: room for the note, so that it never covers a line. Right: half of the last label.
      padding: [18, 14, 0, 4],
      legend: { show: false },
      scales: {
        x: { time: false, range: () => [...this.view()] },
        y: { distr: log ? 3 : 1, range: () => [...this.yRange] },
      },
      series: [{}, { scale: "y", paths: () => null, points: { show: false } }],
      axes: [this.xAxis(), { show: false, scale: "y" }],
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false },
        sync: { key: sync, scales: ["x", null] },
        bind: { dblclick: () => () => this.zoomOut() },
      },
      hooks: {
        drawClear: [(u) => this.drawGrid(u)],
        draw: [(u) => this.draw(u)],
        setCursor: [(u) => this.hover(u)],
        setSelect: [(u) => this.select(u)],
      },
    };
    const plot = new uPlot(
      config,
      [
        [0, 1],
        [null, null],
      ],
      this.host,
    );
    // The canvas is a picture of what the figure around it says in words.
    plot.root.setAttribute("aria-hidden", "true");
    plot.root.style.setProperty("--cursor", colours.ink3);
    return plot;
  }

  private xAxis(): uPlot.Axis {
    const { colours, x } = this.options;
    const incrs = x === "step" ? {} : { incrs: [...MILLISECONDS, ...SECONDS, ...DAYS] };
    return {
      size: X_AXIS_H,
      gap: 4,
      space: 64,
      font: `11px ${colours.font}`,
      stroke: colours.ink3,
      grid: { stroke: colours.hair, width: 1 },
      ticks: { show: false },
      border: { show: true, stroke: colours.rule, width: 1 },
      ...incrs,
      values: (_u, splits, _axis, _space, step) =>
        splits.map((v) =>
          x === "step"
            ? v % 1 === 0
              ? format.tick(v, step)
              : ""
            : x === "wall"
              ? format.axisWall(v, step)
              : format.axisSeconds(v, step),
        ),
    };
  }

  private yTicks(): number[] {
    const [low, high] = this.yRange;
    return this.options.log ? logTicks(low, high) : format.niceTicks(low, high, 5);
  }

  /** Horizontal grid, under everything. */
  private drawGrid(u: uPlot): void {
    const { left, top, width, height } = u.bbox;
    const c = u.ctx;
    c.fillStyle = this.options.colours.hair;
    for (const value of this.yTicks()) {
      const y = Math.round(u.valToPos(value, "y", true));
      if (y > top && y < top + height) c.fillRect(left, y, width, Math.max(1, Math.round(uPlot.pxRatio)));
    }
  }

  private draw(u: uPlot): void {
    const { left, top, width, height } = u.bbox;
    const { colours, log } = this.options;
    drawPlan(this.plan, {
      context: u.ctx,
      toX: (v) => u.valToPos(v, "x", true),
      toY: (v) => u.valToPos(v, "y", true),
      ratio: uPlot.pxRatio,
      left,
      top,
      width,
      height,
      strokes: this.options.strokes(this.plan),
      halo: colours.paper,
      positive: log,
    });
    this.drawMarks(u);
    this.drawYLabels(u);
    this.options.onDrawn(this.plan, this.hidden);
  }

  /** A tick that stands on the x axis, with a wedge, so that it is no line of the grid. */
  private drawMarks(u: uPlot): void {
    const { left, top, width, height } = u.bbox;
    const [ratio, bottom] = [uPlot.pxRatio, top + height];
    const c = u.ctx;
    c.fillStyle = this.options.colours.ink3;
    for (const mark of this.options.marks ?? []) {
      const x = Math.round(u.valToPos(mark.x, "x", true));
      if (x < left || x > left + width) continue;
      c.beginPath();
      c.moveTo(x, bottom - 8 * ratio);
      c.lineTo(x + 3.5 * ratio, bottom);
      c.lineTo(x - 3.5 * ratio, bottom);
      c.fill();
    }
  }

  /** Labels sit on their grid line inside the plot, outlined in paper: that saves 40 px of every panel. */
  private drawYLabels(u: uPlot): void {
    if (this.plan.lines.length === 0) return;
    const { colours } = this.options;
    const ticks = this.yTicks();
    const step = ticks.length > 1 ? (ticks[1] as number) - (ticks[0] as number) : 1;
    const largest = Math.max(...ticks.map(Math.abs));
    const ratio = uPlot.pxRatio;
    const c = u.ctx;
    c.save();
    c.font = `${11 * ratio}px ${colours.font}`;
    c.textAlign = "left";
    c.textBaseline = "alphabetic";
    c.lineJoin = "round";
    c.lineWidth = 3 * ratio;
    c.strokeStyle = colours.paper;
    c.fillStyle = colours.ink3;
    for (const value of ticks) {
      const y = u.valToPos(value, "y", true) - 3 * ratio;
      if (y < u.bbox.top - 6 * ratio || y > u.bbox.top + u.bbox.height) continue;
      const text = this.options.log ? format.tick(value, value) : format.tick(value, step, largest);
      c.strokeText(text, u.bbox.left + 2 * ratio, y);
      c.fillText(text, u.bbox.left + 2 * ratio, y);
    }
    c.restore();
  }

  private hover(u: uPlot): void {
    const left = u.cursor.left ?? -1;
    const inside = this.keyed || u.over.matches(":hover");
    if (left < 0 || this.plan.lines.length === 0) {
      this.tooltip.hide();
      if (this.hovered) this.options.onHover(null);
      this.hovered = false;
      return;
    }
    if (inside) this.options.onHover(u.posToVal(left, "x"));
    this.hovered = inside;
    this.tooltip.show({
      plan: this.plan,
      x: u.posToVal(left, "x"),
      kind: this.options.x,
      toLeft: (v) => u.valToPos(v, "x"),
      toTop: (v) => u.valToPos(v, "y"),
      pointerTop: u.cursor.top ?? 0,
      colours: this.options.strokes(this.plan).map((stroke) => stroke.colour),
      nameOf: this.options.nameOf,
      always: this.options.always,
      marks: marksAt(this.options.marks ?? [], (v) => u.valToPos(v, "x"), left),
      // A companion chart shows where the crosshair meets its lines; the words are only under the pointer.
      words: inside,
    });
  }

  private select(u: uPlot): void {
    const { left, width } = u.select;
    if (width < 4) return;
    const range: Range = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.options.onZoom(range);
  }

  private zoomOut(): null {
    this.options.onZoom(null);
    return null;
  }
}

function size(host: HTMLElement): { width: number; height: number } {
  return { width: Math.max(40, host.clientWidth), height: Math.max(40, host.clientHeight) };
}
