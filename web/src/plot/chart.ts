/**
 * One chart: uPlot carries scales, x axis, cursor, selection and size; the lines are our draw plan, painted in
 * uPlot's draw hook. That way ranks keep their own x values (no joined arrays with holes) and bands and spikes
 * are first-class. No framework in here; the owner calls `update` and `destroy`.
 */
import uPlot from "uplot";
import { keyOfX, type Range, type XKind } from "../data/types.ts";
import * as format from "../format.ts";
import type { ChartColours } from "./colour.ts";
import { draggedAxes, startDrags } from "./drags.ts";
import { shades } from "./draw/density.ts";
import { drawPlan } from "./draw/line.ts";
import { lowerBound, yExtent } from "./extent.ts";
import { type Mark, marksAt } from "./marks.ts";
import type { Line, Plan } from "./plan.ts";
import { beyondZero } from "./positive.ts";
import { logTicks, type Mapping, mapping, type Scale, symlogTicks } from "./scale.ts";
import type { Stroke } from "./stroke.ts";
import { Tooltip } from "./tooltip.ts";

export interface ChartOptions {
  readonly x: XKind;
  readonly scale: Scale;
  /** Powers of ten on the x axis, too. */
  readonly logX?: boolean;
  /** The y axis leaves out what is far from the rest. */
  readonly robust: boolean;
  /** Whether what was logged is behind smoothed lines; default true. */
  readonly raw?: boolean;
  readonly colours: ChartColours;
  /** How each line looks; asked anew whenever the chart is painted. */
  readonly strokes: (plan: Plan) => readonly Stroke[];
  /** What the tooltip calls a line; null = by rank and attempt. */
  readonly nameOf: ((line: Line) => string) | null;
  /** Lines that the tooltip always lists. */
  readonly always: (line: Line) => boolean;
  /** Charts with the same key share their crosshair. */
  readonly sync: string;
  /** Another window of x; null = all. */
  readonly onZoom: (range: Range | null) => void;
  /** Another window of y, null = what the lines need; without it y follows them always. */
  readonly onZoomY?: (range: Range | null) => void;
  /** The crosshair is at this x under the pointer or by the keyboard; null when it has left. */
  readonly onHover: (x: number | null) => void;
  /** What is marked on the x axis. */
  readonly marks?: readonly Mark[];
  /** After the pixels are on the canvas; `hidden` and `hiddenX` count what log axes cannot show. */
  readonly onDrawn: (plan: Plan, hidden: number, hiddenX: number) => void;
}

export interface Picture {
  readonly plan: Plan;
  readonly view: Range;
  readonly yRange: Range;
  readonly yTicks: readonly number[];
  readonly y: Mapping;
  readonly options: ChartOptions;
}

const X_AXIS_H = 22;
/** A drag that is this far in both directions is a rectangle; otherwise it is along an axis. */
const DIAGONAL_PX = 32;
const EMPTY: Plan = {
  lines: [],
  xMin: Number.NaN,
  xMax: Number.NaN,
  nonFinite: 0,
  nonFiniteExact: true,
  failed: 0,
  carried: 0,
  density: null,
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
  private hiddenX = 0;
  private yRange: Range = [0, 1];
  /** As they were drawn, line by line: the pointer asks for them at every move. */
  private lineColours: readonly string[] = [];
  private yWindow: Range | null = null;
  private threshold = 1;
  private y: Mapping = mapping("linear", 1);
  /** True while the pointer is on this chart, not on one that follows its crosshair. */
  private hovered = false;
  /** True while the crosshair is moved by the keyboard. */
  private keyed = false;

  private given: Plan = EMPTY;
  private readonly stopDrags: () => void;

  private readonly host: HTMLElement;
  private options: ChartOptions;

  constructor(host: HTMLElement, options: ChartOptions) {
    this.host = host;
    this.options = options;
    this.take();
    this.plot = this.create();
    this.tooltip.move(this.plot.over);
    this.stopDrags = startDrags(host, {
      plot: () => this.plot,
      view: () => this.view(),
      look: (range) => this.update(this.given, range, this.yWindow),
      keep: (range) => this.options.onZoom(range),
    });
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(host);
  }

  /** Draws `plan`; `range` and `yRange` are the zoomed windows, null = all there is. */
  update(plan: Plan, range: Range | null, yRange: Range | null = null): void {
    this.given = plan;
    this.range = range;
    this.yWindow = yRange;
    this.refresh();
  }

  /** Applies new options (theme, log axis) by building the plot anew; the data stays. */
  restyle(options: ChartOptions): void {
    this.options = options;
    this.take();
    this.plot.destroy();
    this.plot = this.create();
    this.tooltip.move(this.plot.over);
    this.refresh();
  }

  destroy(): void {
    this.resize.disconnect();
    this.stopDrags();
    this.tooltip.remove();
    this.plot.destroy();
  }

  /** What the chart shows now, for a copy of it. */
  picture(): Picture {
    const { options, plan, yRange, y } = this;
    return { plan, view: this.view(), yRange, yTicks: this.yTicks(), y, options };
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
    const { xMin, xMax } = this.plan;
    const log = this.options.logX ?? false;
    const all: Range = Number.isNaN(xMin)
      ? [log ? 0.1 : 0, 1]
      : xMin < xMax
        ? [xMin, xMax]
        : log
          ? [xMin / 2, xMax * 2]
          : [xMin - 0.5, xMax + 0.5];
    if (this.range === null) return all;
    const [low, high] = this.range;
    return log ? [low > 0 ? low : Math.min(all[0], high / 10), Math.max(high, Number.MIN_VALUE)] : this.range;
  }

  /** Takes what the axes can show out of what was given. */
  private take(): void {
    const shown = this.options.logX ? beyondZero(this.given) : { plan: this.given, hidden: 0 };
    this.plan = shown.plan;
    this.hiddenX = shown.hidden;
    const extent = yExtent(this.plan, this.view(), this.options);
    const window = this.yWindow;
    // A window that a log axis cannot have says nothing.
    this.yRange = window !== null && (this.options.scale !== "log" || window[0] > 0) ? window : extent.range;
    this.hidden = extent.hidden;
    this.threshold = extent.threshold;
    this.y = mapping(this.options.scale, extent.threshold);
  }

  private refresh(): void {
    this.take();
    const view = this.view();
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
    const { colours, logX, sync, onZoomY } = this.options;
    const config: uPlot.Options = {
      ...size(this.host),
      // Above: room for the note, so that it never covers a line. Right: half of the last label.
      padding: [18, 14, 0, 4],
      legend: { show: false },
      scales: {
        x: { time: false, distr: logX ? 3 : 1, range: () => [...this.view()] },
        y: {
          distr: 100,
          fwd: (v) => this.y.forward(v),
          bwd: (v) => this.y.backward(v),
          range: () => [...this.yRange],
        },
      },
      series: [{}, { scale: "y", paths: () => null, points: { show: false } }],
      axes: [this.xAxis(), { show: false, scale: "y" }],
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: onZoomY !== undefined, uni: DIAGONAL_PX, setScale: false },
        sync: { key: sync, scales: ["x", null] },
        bind: {
          dblclick: () => () => this.zoomOut(),
          // With Shift a drag pans; see drags.ts.
          mousedown: (_u, _target, begin) => (event) => (event.shiftKey ? null : begin(event)),
        },
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
    const { logX } = this.options;
    const numbers = x === "step" || keyOfX(x) !== null;
    const incrs = numbers ? {} : { incrs: [...MILLISECONDS, ...SECONDS, ...DAYS] };
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
      ...(logX ? { splits: (_u, _axis, low, high) => logTicks(low, high) } : {}),
      values: (_u, splits, _axis, _space, distance) => {
        const step = logX ? 0 : distance;
        return splits.map((v) =>
          logX && numbers
            ? format.tick(v, v)
            : keyOfX(x) !== null
              ? format.tick(v, step)
              : x === "step"
                ? v % 1 === 0
                  ? format.tick(v, step)
                  : ""
                : x === "wall"
                  ? format.axisWall(v, step)
                  : format.axisSeconds(v, logX ? v : step),
        );
      },
    };
  }

  private yTicks(): number[] {
    const [low, high] = this.yRange;
    const { scale } = this.options;
    if (scale === "log") return logTicks(low, high);
    return scale === "symlog" ? symlogTicks(this.yRange, this.threshold) : format.niceTicks(low, high, 5);
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

  /** From values to pixels of the canvas. uPlot looks its scales up for each value, which is half of the drawing. */
  private toPixels(u: uPlot, axis: "x" | "y"): (value: number) => number {
    if (axis === "y" && this.options.scale !== "linear") return (value) => u.valToPos(value, "y", true);
    const [low, high] = axis === "x" ? this.view() : this.yRange;
    const from = u.valToPos(low, axis, true);
    const each = (u.valToPos(high, axis, true) - from) / (high - low);
    return (value) => from + (value - low) * each;
  }

  private draw(u: uPlot): void {
    const { left, top, width, height } = u.bbox;
    const { colours, scale, raw } = this.options;
    const strokes = this.options.strokes(this.plan);
    this.lineColours = strokes.map((stroke) => stroke.colour);
    drawPlan(this.plan, {
      context: u.ctx,
      toX: this.toPixels(u, "x"),
      toY: this.toPixels(u, "y"),
      ratio: uPlot.pxRatio,
      left,
      top,
      width,
      height,
      strokes,
      halo: colours.paper,
      positive: scale === "log",
      raw: raw ?? true,
      shades: this.plan.density === null ? [] : shades(colours.paper, colours.data[5] ?? colours.ink),
    });
    this.drawMarks(u);
    this.drawYLabels(u);
    this.options.onDrawn(this.plan, this.hidden, this.hiddenX);
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
    if (this.plan.lines.length === 0 && this.plan.density === null) return;
    const { colours, scale } = this.options;
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
      const text = scale === "linear" ? format.tick(value, step, largest) : format.tick(value, value);
      c.strokeText(text, u.bbox.left + 2 * ratio, y);
      c.fillText(text, u.bbox.left + 2 * ratio, y);
    }
    c.restore();
  }

  private hover(u: uPlot): void {
    const left = u.cursor.left ?? -1;
    const inside = this.keyed || u.over.matches(":hover");
    if (left < 0 || (this.plan.lines.length === 0 && this.plan.density === null)) {
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
      y: u.posToVal(u.cursor.top ?? 0, "y"),
      colours: this.lineColours,
      nameOf: this.options.nameOf,
      always: this.options.always,
      marks: marksAt(this.options.marks ?? [], (v) => u.valToPos(v, "x"), left),
      // A companion chart shows where the crosshair meets its lines; the words are only under the pointer.
      words: inside,
    });
  }

  private select(u: uPlot): void {
    const { left, top, width, height } = u.select;
    const whole = { width: u.over.clientWidth, height: u.over.clientHeight };
    const x: Range = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
    const y: Range = [u.posToVal(top + height, "y"), u.posToVal(top, "y")];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    const axes = draggedAxes({ width, height }, whole);
    if (axes.x) this.options.onZoom(x);
    if (axes.y && this.options.onZoomY !== undefined) this.options.onZoomY(y);
  }

  private zoomOut(): null {
    this.options.onZoom(null);
    this.options.onZoomY?.(null);
    return null;
  }
}

function size(host: HTMLElement): { width: number; height: number } {
  return { width: Math.max(40, host.clientWidth), height: Math.max(40, host.clientHeight) };
}
