/** Runs in a page of its own: the chart of the dashboard and plain uPlot draw the same lines, turn by turn. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { Chart, type ChartOptions } from "../src/plot/chart.ts";
import type { Line, Plan } from "../src/plot/plan.ts";

export interface Drawing {
  readonly runs: number;
  readonly points: number;
  /** Whether each run has x of its own, so that uPlot has to join them first. */
  readonly ownX: boolean;
}

const [WIDTH, HEIGHT, ROUNDS] = [420, 260, 15];
const COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22"];

function linesOf({ runs, points, ownX }: Drawing): Line[] {
  return Array.from({ length: runs }, (_, run) => {
    const x = Float64Array.from({ length: points }, (_, i) => i * 10 + (ownX ? run / runs : 0));
    const y = Float64Array.from(
      x,
      (at, i) => Math.exp(-at / 900) + run / runs + 0.05 * Math.sin(i * (1 + run)),
    );
    const joined = new Uint8Array(points).fill(1, 1);
    const none = new Float64Array();
    return {
      run: `r${run}`,
      rank: 0,
      attempt: 0,
      x,
      y,
      raw: null,
      joined,
      bad: { x: none, y: none },
      band: null,
      nonFinite: 0,
      last: null,
    };
  });
}

function host(): HTMLElement {
  const made = document.createElement("div");
  made.style.width = `${WIDTH}px`;
  made.style.height = `${HEIGHT}px`;
  document.body.append(made);
  return made;
}

const OPTIONS: ChartOptions = {
  x: "step",
  scale: "linear",
  robust: false,
  colours: {
    surface: "#fff",
    paper: "#faf9f6",
    ink: "#15202b",
    ink3: "#65707b",
    rule: "#838c95",
    hair: "#e2e0da",
    link: "#1f5fbf",
    font: "monospace",
    data: COLOURS,
    ramp: [],
  },
  strokes: (plan) =>
    plan.lines.map((_, i) => ({ colour: COLOURS[i % 8] ?? "", dash: [], width: 1, front: false })),
  nameOf: null,
  always: () => false,
  sync: "bench",
  onZoom: () => undefined,
  onHover: () => undefined,
  onDrawn: () => undefined,
};

const NOTHING_ELSE = { nonFinite: 0, nonFiniteExact: true, failed: 0, carried: 0, density: null };

/** Waits until what was drawn is in the pixels of a canvas; uPlot itself draws in a microtask. */
async function rastered(element: HTMLElement): Promise<void> {
  await Promise.resolve();
  await new Promise<void>((done) => queueMicrotask(done));
  element.querySelector("canvas")?.getContext("2d")?.getImageData(0, 0, 1, 1);
}

async function timed(element: HTMLElement, draw: () => void): Promise<number> {
  const begin = performance.now();
  draw();
  await rastered(element);
  return performance.now() - begin;
}

const middle = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** Milliseconds from the call to the pixels, medians: of our chart, and of uPlot with what it needs before. */
export async function compare(drawing: Drawing): Promise<{ ours: number; uplot: number }> {
  const lines = linesOf(drawing);
  const last = 10 * drawing.points;
  const plan: Plan = { lines, xMin: 0, xMax: last, ...NOTHING_ELSE };
  const [left, right] = [host(), host()];
  const chart = new Chart(left, OPTIONS);
  const tables = lines.map((line): uPlot.AlignedData => [line.x, line.y]);
  const aligned = (): uPlot.AlignedData =>
    drawing.ownX ? uPlot.join(tables) : [lines[0]?.x ?? new Float64Array(), ...lines.map((line) => line.y)];
  const plain = new uPlot(
    {
      width: WIDTH,
      height: HEIGHT,
      legend: { show: false },
      scales: { x: { time: false } },
      series: [
        {},
        ...lines.map((_, i) => ({
          stroke: COLOURS[i % 8] ?? "",
          width: 1,
          points: { show: false },
          spanGaps: drawing.ownX,
        })),
      ],
    },
    [new Float64Array(), ...lines.map(() => new Float64Array())],
    right,
  );
  const taken = { ours: [] as number[], uplot: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    taken.ours.push(await timed(left, () => chart.update(plan, null)));
    taken.uplot.push(await timed(right, () => plain.setData(aligned())));
    await new Promise((next) => requestAnimationFrame(next));
  }
  chart.destroy();
  plain.destroy();
  left.remove();
  right.remove();
  return { ours: middle(taken.ours), uplot: middle(taken.uplot) };
}

Object.assign(window, { compare });
