/**
 * The value column of the runs list: it follows the crosshair of the panel under the pointer, and shows its newest
 * values when the pointer is elsewhere. Written straight into the rows that are mounted, once a frame at most: moving
 * the pointer renders nothing.
 */
import { effect, signal } from "@preact/signals";
import * as format from "../format.ts";
import { nearest } from "../plot/extent.ts";
import type { Line, Plan } from "../plot/plan.ts";
import type { Panels } from "./panels.ts";

const byRun = new WeakMap<Plan, ReadonlyMap<string, Line>>();

/** The curve of each run in a plan: the first of its lines that no later attempt has superseded. */
function linesOf(plan: Plan): ReadonlyMap<string, Line> {
  let found = byRun.get(plan);
  if (found === undefined) {
    const lines = plan.lines.filter((line) => line.attempt === 0).reverse();
    found = new Map(lines.map((line) => [line.run, line]));
    byRun.set(plan, found);
  }
  return found;
}

/** Value of a line at an x, or its newest one; null when it has none there. */
export function valueAt(line: Line | undefined, x: number | null): number | null {
  if (line === undefined) return null;
  if (x === null) return line.last?.y ?? (line.band?.votes ? (line.y.at(-1) ?? null) : null);
  // Before its first and after its last point a run has no value.
  const { last } = line;
  const start = line.x[0] ?? last?.x;
  if (start === undefined || x < start || x > Math.max(last?.x ?? start, line.x.at(-1) ?? start)) return null;
  const at = nearest(line, x);
  const vertex = line.x[at];
  if (last !== null && (vertex === undefined || Math.abs(last.x - x) < Math.abs(vertex - x))) return last.y;
  return line.y[at] ?? null;
}

/** Lower values are better (-1), higher ones (1), or nobody can tell from the name (0). */
export function goalOf(key: string): -1 | 0 | 1 {
  const words = key.toLowerCase().split(/[^a-z0-9]+/);
  const has = (...wanted: string[]): boolean => words.some((word) => wanted.includes(word));
  if (has("loss", "error", "err", "ppl", "perplexity", "mae", "mse", "rmse", "nll", "wer", "fid", "latency"))
    return -1;
  return has(
    "acc",
    "accuracy",
    "f1",
    "auc",
    "reward",
    "return",
    "score",
    "precision",
    "recall",
    "bleu",
    "map",
  )
    ? 1
    : 0;
}

export class Crosshair {
  /** The panel that the column is about. */
  readonly key = signal<string | null>(null);
  private x: number | null = null;
  private readonly cells = new Map<string, HTMLElement>();
  private frame = 0;
  private stopFollowing: () => void = () => undefined;
  private baseline: string | null = null;

  private readonly panels: Panels;
  private readonly lineOf: (run: string) => string;

  /** `lineOf` says under which name a run's line is: that of its group, where runs are grouped. */
  constructor(panels: Panels, lineOf: (run: string) => string = (run) => run) {
    this.panels = panels;
    this.lineOf = lineOf;
  }

  /** The crosshair of a panel is at `x`; null = it has left, and the panel stays the one of interest. */
  point(key: string, x: number | null): void {
    this.x = x;
    if (this.key.peek() !== key) this.about(key);
    this.later();
  }

  /** Makes a panel the one of interest when none is yet. */
  offer(key: string): void {
    if (this.key.peek() === null) this.about(key);
  }

  /** Values are also shown as a difference to this run. */
  against(baseline: string | null): void {
    this.baseline = baseline;
    this.later();
  }

  /** A row of the list is mounted; the result takes it away. */
  show(run: string, cell: HTMLElement): () => void {
    this.cells.set(run, cell);
    this.later();
    return () => {
      if (this.cells.get(run) === cell) this.cells.delete(run);
    };
  }

  stop(): void {
    this.stopFollowing();
    cancelAnimationFrame(this.frame);
  }

  private about(key: string): void {
    this.stopFollowing();
    this.key.value = key;
    const { revision } = this.panels.panel(key);
    this.stopFollowing = effect(() => {
      revision.value;
      this.later();
    });
  }

  private later(): void {
    if (this.frame === 0)
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.write();
      });
  }

  private write(): void {
    const key = this.key.peek();
    const plan = key === null ? null : this.panels.panel(key).plan;
    const lines = plan === null ? null : linesOf(plan);
    const base = this.baseline === null ? null : valueAt(lines?.get(this.lineOf(this.baseline)), this.x);
    const goal = key === null ? 0 : goalOf(key);
    for (const [run, cell] of this.cells) {
      const value = valueAt(lines?.get(this.lineOf(run)), this.x);
      const [shown, delta] = [cell.firstElementChild, cell.lastElementChild];
      if (shown !== null) shown.textContent = value === null ? "" : format.number(value);
      if (!(delta instanceof HTMLElement)) continue;
      const difference = value === null || base === null || run === this.baseline ? null : value - base;
      delta.textContent = difference === null ? "" : format.difference(difference);
      delta.dataset.sense =
        difference === null || goal === 0 || difference === 0
          ? ""
          : difference * goal > 0
            ? "better"
            : "worse";
    }
  }
}
