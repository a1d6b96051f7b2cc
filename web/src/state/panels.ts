/**
 * The charts of one page: which are in view, of which runs, what each shows, and one series:query for all that is
 * out of date. What is held is held by panel and run, so that showing or hiding a run asks for that run at most, and
 * news of one run ask for nothing of the others. Plans (typed arrays) are plain fields; a revision signal per panel
 * tells its view to repaint.
 */
import { effect, type Signal, signal } from "@preact/signals";
import { ApiError, api } from "../data/api.ts";
import type { Frame, Series } from "../data/frames.ts";
import type { PanelQuery, Range, XKind } from "../data/types.ts";
import { type Line, type Plan, plan } from "../plot/plan.ts";
import { viewDrawn } from "./drawn.ts";
import { dataArrived, visible } from "./live.ts";
import { Scheduler } from "./scheduler.ts";

/** Columns of a bucket that a line chart draws or tells. */
const COLUMNS = ["n", "min", "max", "last", "mean"];
/** Panels out of view, and series in them, that are kept for scrolling back. */
const KEPT_PANELS_MAX = 96;
const KEPT_SERIES_MAX = 6000;
const FEW_SERIES = 20;
const PIXELS_MAX = 4096;

/** What is held of one run in one panel. */
interface Held {
  /** Axis of `series`: those of another one cannot be drawn together with the new ones. */
  readonly x: XKind;
  /** As they came, so that `unchanged` can stand for them. */
  series: readonly Series[];
  /** Out of date against the server, the window or the size. */
  stale: boolean;
  /** Revision of `series`; null when they are of another window or size, so that none may stand for a new one. */
  rev: number | null;
}

export interface Panel {
  readonly id: number;
  readonly key: string;
  plan: Plan | null;
  readonly held: Map<string, Held>;
  px: number;
  readonly revision: Signal<number>;
  /** True while an answer is awaited that the panel has nothing to show before. */
  readonly waiting: Signal<boolean>;
  readonly error: Signal<string | null>;
  /** Values that the log axis of the drawn chart cannot show. */
  readonly hidden: Signal<number>;
}

export interface PanelsView {
  /** In the order in which their lines are drawn. */
  readonly runs: readonly string[];
  readonly x: XKind;
  readonly range: Range | null;
  /** Whether what later attempts have superseded is shown too. */
  readonly superseded: boolean;
  /** How `reduction` of the options answers now: with another word all has to be asked for again. */
  readonly ranks?: string;
}

export interface PanelsOptions {
  readonly system: boolean;
  /** How the ranks of a key become one line, or which of them have one; null = a line for each. */
  readonly reduction?: (key: string) => string | readonly number[] | null;
  /** What a line is called; null = by its rank and attempt. */
  readonly nameOf?: (line: Line) => string | null;
  /** What no chart shows, in words. */
  readonly remark?: () => string | null;
}

export class Panels {
  private readonly panels = new Map<string, Panel>();
  /** How many charts show a panel: in full screen it is there twice. */
  private readonly shown = new Map<string, number>();
  private readonly scheduler: Scheduler;
  private readonly abort = new AbortController();
  private readonly stopWatching: () => void;
  private view: PanelsView = { runs: [], x: "step", range: null, superseded: false };
  private asked = false;
  /** Charts have changed since all of them were told to be drawn. */
  private changing = false;
  /** Largest step seen in any answer. */
  readonly lastStep = signal<number | null>(null);

  private readonly project: string;
  /** What charts that share a crosshair have in common, besides their x axis. */
  readonly scope: string;
  readonly options: PanelsOptions;

  constructor(project: string, scope: string, options: PanelsOptions) {
    this.project = project;
    this.scope = scope;
    this.options = options;
    this.scheduler = new Scheduler(
      () => this.fetch(),
      () => (this.seriesShown() < FEW_SERIES ? 250 : 1000),
    );
    this.stopWatching = effect(() => {
      if (visible.value) this.scheduler.resume();
      else this.scheduler.pause();
    });
  }

  /** The panel of a key; made when it is first asked for. */
  panel(key: string): Panel {
    const known = this.panels.get(key);
    if (known !== undefined) return known;
    const made: Panel = {
      id: this.panels.size + 1,
      key,
      plan: null,
      held: new Map(),
      px: 160,
      revision: signal(0),
      waiting: signal(false),
      error: signal(null),
      hidden: signal(0),
    };
    this.panels.set(key, made);
    return made;
  }

  /** A panel came into view, `width` CSS pixels wide: buckets are asked for at half of that. */
  show(key: string, width: number): void {
    const panel = this.panel(key);
    const px = Math.min(PIXELS_MAX, Math.max(64, Math.ceil(width / 2 / 32) * 32));
    const charts = this.shown.get(key) ?? 0;
    // The larger of two charts decides; what it has asked for is good enough for the smaller one too.
    if (px > panel.px || (charts === 0 && px !== panel.px)) {
      forget(panel);
      panel.px = px;
    }
    this.shown.set(key, charts + 1);
    this.replan(panel);
    this.ask();
  }

  /** A panel left the view; the oldest plans beyond a limit are dropped. */
  hide(key: string): void {
    const charts = (this.shown.get(key) ?? 1) - 1;
    if (charts > 0) {
      this.shown.set(key, charts);
      return;
    }
    this.shown.delete(key);
    const kept = [...this.panels.values()].filter((p) => p.held.size > 0 && !this.shown.has(p.key));
    let series = kept.reduce((sum, p) => sum + p.held.size, 0);
    let panels = kept.length;
    for (const old of kept) {
      if (panels <= KEPT_PANELS_MAX && series <= KEPT_SERIES_MAX) break;
      panels -= 1;
      series -= old.held.size;
      old.plan = null;
      old.held.clear();
    }
  }

  /** Looks at other runs, another window or x axis; the old picture stays until the new one is there. */
  look(view: PanelsView): void {
    const before = this.view;
    const sameWindow =
      view.x === before.x &&
      view.superseded === before.superseded &&
      view.ranks === before.ranks &&
      view.range?.[0] === before.range?.[0] &&
      view.range?.[1] === before.range?.[1];
    const sameRuns =
      view.runs.length === before.runs.length && view.runs.every((run, i) => run === before.runs[i]);
    if (sameWindow && sameRuns) return;
    this.view = view;
    if (!sameWindow) for (const panel of this.panels.values()) forget(panel);
    else for (const key of this.shown.keys()) this.replan(this.panel(key));
    this.ask();
  }

  /** There are new points: of these runs, or (null) of any. */
  changed(runs: readonly string[] | null): void {
    for (const panel of this.panels.values()) {
      for (const run of runs ?? panel.held.keys()) {
        const held = panel.held.get(run);
        if (held !== undefined) held.stale = true;
      }
    }
    this.scheduler.nudge();
  }

  /** The user asks again after a failure. */
  retry(): void {
    this.scheduler.urge();
  }

  stop(): void {
    this.stopWatching();
    this.scheduler.stop();
    this.abort.abort();
  }

  /** All panels that mount in one render are asked for together. */
  private ask(): void {
    if (this.asked) return;
    this.asked = true;
    queueMicrotask(() => {
      this.asked = false;
      this.scheduler.urge();
    });
  }

  private seriesShown(): number {
    return this.shown.size * Math.max(1, this.view.runs.length);
  }

  /** Runs of a panel that the server has to be asked for. */
  private due(panel: Panel): string[] {
    return this.view.runs.filter((run) => panel.held.get(run)?.stale ?? true);
  }

  /** Whether what a panel shows is not yet all that it will: then an empty one has not been found empty. */
  awaits(panel: Panel): boolean {
    return panel.waiting.value || this.due(panel).length > 0;
  }

  private query(panel: Panel, runs: readonly string[]): PanelQuery {
    const reduction = this.options.reduction?.(panel.key) ?? null;
    const have = runs.flatMap((run): [string, number][] => {
      const rev = panel.held.get(run)?.rev ?? null;
      return rev === null ? [] : [[run, rev]];
    });
    return {
      id: panel.id,
      keys: [panel.key],
      runs: { ids: [...runs] },
      x: this.view.x,
      exp: null,
      px: panel.px,
      range: this.view.range,
      cols: COLUMNS,
      have: Object.fromEntries(have),
      system: this.options.system,
      attempts: this.view.superseded && !this.options.system ? "all" : "latest",
      ...(reduction === null ? {} : { ranks: reduction }),
    };
  }

  private async fetch(): Promise<void> {
    const due = [...this.shown.keys()].flatMap((key) => {
      const panel = this.panel(key);
      const runs = this.due(panel);
      return runs.length === 0 ? [] : [{ panel, runs, query: this.query(panel, runs) }];
    });
    if (due.length === 0) {
      this.settled();
      return;
    }
    const { view } = this;
    for (const { panel, runs } of due) {
      panel.waiting.value = panel.plan === null || panel.plan.lines.length === 0;
      for (const run of runs) {
        const held = panel.held.get(run);
        if (held === undefined) panel.held.set(run, { x: view.x, series: [], stale: false, rev: null });
        else held.stale = false;
      }
    }
    try {
      const frames = await api.series(
        this.project,
        due.map(({ query }) => query),
        this.abort.signal,
      );
      const byId = new Map(frames.map((frame) => [frame.panel, frame]));
      for (const { panel, runs, query } of due) {
        const frame = byId.get(panel.id);
        // The user zoomed on while this was under way: its panels are stale again, the next answer is right.
        if (frame !== undefined && sameQuestion(view, this.view)) {
          this.accept(panel, runs, frame, query.px === panel.px);
        }
      }
      this.settled();
    } catch (error) {
      if (this.abort.signal.aborted) return;
      for (const { panel, runs } of due) this.failed(panel, runs, error);
      throw error;
    } finally {
      for (const { panel } of due) panel.waiting.value = false;
    }
  }

  /** What is drawn stays; the waterline says that it is old. Refusals are told in the panel. */
  private failed(panel: Panel, runs: readonly string[], error: unknown): void {
    for (const run of runs) {
      const held = panel.held.get(run);
      if (held !== undefined) held.stale = true;
    }
    if (!(error instanceof ApiError && error.status === 0))
      panel.error.value = error instanceof Error ? error.message : String(error);
  }

  /** Takes an answer; `fits` is false when the panel has another width by now, so that it cannot stand for long. */
  private accept(panel: Panel, runs: readonly string[], frame: Frame, fits: boolean): void {
    const byRun = new Map<string, Series[]>(runs.map((run) => [run, []]));
    for (const series of frame.series) {
      const known = panel.held.get(series.run)?.series ?? [];
      const meant = series.kind === "unchanged" ? (sameSeries(known, series) ?? series) : series;
      byRun.get(series.run)?.push(meant);
      this.remember(meant);
    }
    for (const [run, series] of byRun) {
      const held = panel.held.get(run);
      const rev = fits ? frame.rev : null;
      panel.held.set(run, { x: this.view.x, series, stale: held?.stale ?? false, rev });
    }
    panel.error.value = null;
    panel.plan = plan(this.seriesOf(panel), this.view.x);
    panel.revision.value += 1;
    this.changing = true;
  }

  /** Says so once everything in view is as it is asked for. */
  private settled(): void {
    const shown = [...this.shown.keys()].map((key) => this.panel(key));
    if (!this.changing || shown.some((panel) => this.due(panel).length > 0)) return;
    this.changing = false;
    viewDrawn(shown.length, this.view.runs.length);
  }

  private seriesOf(panel: Panel): Series[] {
    return this.view.runs.flatMap((run) => {
      const held = panel.held.get(run);
      return held?.x === this.view.x ? held.series : [];
    });
  }

  /** Draws what is held for the runs that are looked at now. */
  private replan(panel: Panel): void {
    if (panel.plan === null && this.view.runs.length > 0) return;
    panel.plan = plan(this.seriesOf(panel), this.view.x);
    panel.revision.value += 1;
    this.changing = true;
  }

  private remember(series: Series): void {
    if (series.attempt > 0) return;
    if (Number.isFinite(series.lastT) && series.lastT > 0) dataArrived(series.lastT * 1000);
    if (this.view.x === "step" && Number.isFinite(series.lastX)) {
      this.lastStep.value = Math.max(this.lastStep.peek() ?? 0, series.lastX);
    }
  }
}

/** What the panel holds answers another question now; the picture stays until the new answer. */
function forget(panel: Panel): void {
  for (const held of panel.held.values()) {
    held.stale = true;
    held.rev = null;
  }
}

/** Whether an answer for one view is one for the other, whatever runs there are in each. */
function sameQuestion(a: PanelsView, b: PanelsView): boolean {
  return (
    a.x === b.x &&
    a.superseded === b.superseded &&
    a.ranks === b.ranks &&
    a.range?.[0] === b.range?.[0] &&
    a.range?.[1] === b.range?.[1]
  );
}

function sameSeries(known: readonly Series[], like: Series): Series | undefined {
  return known.find(
    (s) => s.run === like.run && s.key === like.key && s.rank === like.rank && s.attempt === 0,
  );
}
