/**
 * The charts of one page: which are in view, of which runs, what each shows, and one series:query for all that is
 * out of date. What is held is held by panel and run, so that showing or hiding a run asks for that run at most, and
 * news of one run ask for nothing of the others; groups and densities, which are made of all runs, are held as one.
 * Plans (typed arrays) are plain fields; a revision signal per panel tells its view to repaint.
 */
import { effect, type Signal, signal } from "@preact/signals";
import { ApiError, api } from "../data/api.ts";
import type { Frame, Series } from "../data/frames.ts";
import type { GroupBand, Range, Smoothing, XKind } from "../data/types.ts";
import { type Line, type Plan, plan } from "../plot/plan.ts";
import { viewDrawn } from "./drawn.ts";
import { Held, TOGETHER } from "./held.ts";
import { dataArrived, visible } from "./live.ts";
import { type Asked, type Budget, queryOf } from "./panel-query.ts";
import { Scheduler } from "./scheduler.ts";

/** Panels out of view, and series in them, that are kept for scrolling back. */
const KEPT_PANELS_MAX = 96;
const KEPT_SERIES_MAX = 6000;
const FEW_SERIES = 20;
/** The page draws what has come for so long without looking up. */
const BUSY_MS = 12;
const PIXELS_MAX = 4096;

export interface Panel {
  readonly id: number;
  readonly key: string;
  plan: Plan | null;
  readonly held: Map<string, Held>;
  px: number;
  /** What is asked for it now, besides runs. */
  look: Look;
  readonly revision: Signal<number>;
  /** True while an answer is awaited that the panel has nothing to show before. */
  readonly waiting: Signal<boolean>;
  readonly error: Signal<string | null>;
  /** Values that the log axes of the drawn chart cannot show. */
  readonly hidden: Signal<number>;
  readonly hiddenX: Signal<number>;
}

/** How a panel is looked at. */
export interface Look {
  readonly x: XKind;
  readonly range: Range | null;
  /** Whether what later attempts have superseded is shown too. */
  readonly superseded: boolean;
  /** How `reduction` of the options answers now: with another word all has to be asked for again. */
  readonly ranks?: string;
  readonly smooth?: (Smoothing & { readonly R?: number }) | null;
  /** Columns of runs: those with the same values are one line. */
  readonly group?: readonly string[];
  readonly groupBand?: GroupBand;
}

export interface PanelsView extends Look {
  /** In the order in which their lines are drawn. */
  readonly runs: readonly string[];
  /** What single panels have otherwise. */
  readonly of?: (key: string) => Partial<Look>;
  /** Runs that stay lines in a density. */
  readonly top?: readonly string[];
  /** A run that is a line in a density for now. */
  readonly extra?: string | null;
}

export interface PanelsOptions {
  readonly system: boolean;
  /** How the ranks of a key become one line, or which of them have one; null = a line for each. */
  readonly reduction?: (key: string) => string | readonly number[] | null;
  /** What a line is called; null = by its rank and attempt. */
  readonly nameOf?: (line: Line) => string | null;
  /** What no chart shows, in words. */
  readonly remark?: () => string | null;
  /** Beyond how many series there is a density, with how many lines; without it there is none. */
  readonly budget?: Budget;
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
  /** The widest series seen, by x. */
  readonly spans = signal<ReadonlyMap<XKind, number>>(new Map());
  /** The largest x seen, by axis. */
  readonly ends = signal<ReadonlyMap<XKind, number>>(new Map());

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
      look: lookOf(this.view, key),
      revision: signal(0),
      waiting: signal(false),
      error: signal(null),
      hidden: signal(0),
      hiddenX: signal(0),
    };
    this.panels.set(key, made);
    return made;
  }

  /** A panel came into view, `width` CSS pixels wide: buckets are asked for at half of that. */
  show(key: string, width: number): void {
    const panel = this.panel(key);
    const px = pixels(width);
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

  /** A chart in view has another width; narrower ones keep what they have. */
  resize(key: string, width: number): void {
    const panel = this.panel(key);
    if (pixels(width) <= panel.px) return;
    forget(panel);
    panel.px = pixels(width);
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
    const { runs, extra, groupBand } = this.view;
    const same =
      sameList(runs, view.runs) && (extra ?? null) === (view.extra ?? null) && groupBand === view.groupBand;
    let news = !same;
    this.view = view;
    for (const panel of this.panels.values()) {
      const before = panel.look;
      panel.look = lookOf(view, panel.key);
      if (!sameLook(before, panel.look)) {
        forget(panel);
        news = true;
      } else if (!same && this.shown.has(panel.key)) this.replan(panel);
    }
    if (news) this.ask();
  }

  /**
   * There are new points: of these runs, or (null) of any. What is held of `rev` and later has them already; without
   * a revision nothing has.
   */
  changed(runs: readonly string[] | null, rev: number | null = null): void {
    for (const panel of this.panels.values())
      for (const [name, held] of panel.held)
        if (runs === null || runs.some((run) => run === name || held.runs.has(run))) held.outdate(rev);
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

  /** What is held of a panel, by name: each run for itself, or all as one, and what is a line besides. */
  private parts(panel: Panel): string[] {
    const { runs, extra } = this.view;
    if (runs.length === 0 || !this.isTogether(panel)) return [...runs];
    const alone = extra != null && !panel.look.group?.length && runs.includes(extra);
    return alone ? [TOGETHER, extra] : [TOGETHER];
  }

  /** Whether what a panel shows is not yet all that it will: then an empty one has not been found empty. */
  awaits(panel: Panel): boolean {
    return panel.waiting.value || this.due(panel).length > 0;
  }

  private isTogether(panel: Panel): boolean {
    const { budget } = this.options;
    return (
      (panel.look.group?.length ?? 0) > 0 || (budget !== undefined && this.view.runs.length > budget.series)
    );
  }

  /** What the server has to be asked for. */
  private due(panel: Panel): Asked[] {
    const due = this.parts(panel).filter((name) => panel.held.get(name)?.isDue(this.runsOf(name)) ?? true);
    const whole = due.filter((name) => name === TOGETHER);
    const single = due.filter((name) => name !== TOGETHER);
    const asked = (names: string[], i: number): Asked => {
      const query = queryOf(panel, names, this.runsOf(names[0] ?? ""), this.view.top ?? [], this.options);
      return { panel, names, query: { ...query, id: 2 * panel.id + i } };
    };
    return [whole, single].flatMap((names, i) => (names.length === 0 ? [] : [asked(names, i)]));
  }

  private runsOf(name: string): readonly string[] {
    return name === TOGETHER ? this.view.runs : [name];
  }

  private async fetch(): Promise<void> {
    const due = [...this.shown.keys()].flatMap((key) => this.due(this.panel(key)));
    if (due.length === 0) {
      this.settled();
      return;
    }
    const looks = new Map(due.map(({ panel }) => [panel, panel.look]));
    for (const { panel, names } of due) {
      panel.waiting.value = panel.plan === null || panel.plan.lines.length === 0;
      for (const name of names) {
        const held = panel.held.get(name) ?? new Held(panel.look.x);
        panel.held.set(name, held);
        held.ask(name === TOGETHER ? this.runsOf(name) : []);
      }
    }
    const left = new Set(due);
    try {
      const queries = due.map(({ query }) => query);
      const frames = api.series(this.project, queries, this.abort.signal, this.options.budget);
      let busy = performance.now();
      for await (const frame of frames) {
        const asked = due.find(({ query }) => query.id === frame.panel);
        if (asked === undefined) continue;
        const { panel, names, query } = asked;
        // The user zoomed on while this was under way: its panels are stale again, the next answer is right.
        if (sameLook(looks.get(panel) ?? panel.look, panel.look))
          this.accept(panel, names, frame, query.px === panel.px);
        left.delete(asked);
        panel.waiting.value = false;
        if (performance.now() - busy < BUSY_MS) continue;
        // Between two charts there is time for the pointer and for the first of them to be seen.
        await new Promise((next) => setTimeout(next));
        busy = performance.now();
      }
      this.settled();
    } catch (error) {
      if (this.abort.signal.aborted) return;
      for (const { panel, names } of left) this.failed(panel, names, error);
      throw error;
    } finally {
      for (const { panel } of due) panel.waiting.value = false;
    }
  }

  /** What is drawn stays; the waterline says that it is old. Refusals are told in the panel. */
  private failed(panel: Panel, names: readonly string[], error: unknown): void {
    for (const name of names) panel.held.get(name)?.outdate(null);
    if (!(error instanceof ApiError && error.status === 0))
      panel.error.value = error instanceof Error ? error.message : String(error);
  }

  /** Takes an answer; `fits` is false when the panel has another width by now, so that it cannot stand for long. */
  private accept(panel: Panel, names: readonly string[], frame: Frame, fits: boolean): void {
    const [first = TOGETHER] = names;
    const byName = new Map<string, Series[]>(names.map((name) => [name, []]));
    for (const series of frame.series) {
      const name = first === TOGETHER ? TOGETHER : series.run;
      const known = panel.held.get(name)?.series ?? [];
      if (name === TOGETHER && series.kind === "unchanged") byName.get(name)?.push(...known);
      else {
        const meant = series.kind === "unchanged" ? (sameSeries(known, series) ?? series) : series;
        byName.get(name)?.push(meant);
        this.remember(meant, panel.look.x);
      }
    }
    for (const [name, series] of byName) panel.held.get(name)?.accept(series, panel.look.x, frame.rev, fits);
    panel.error.value = null;
    this.draw(panel);
  }

  /** Says so once everything in view is as it is asked for. */
  private settled(): void {
    const shown = [...this.shown.keys()].map((key) => this.panel(key));
    if (!this.changing || shown.some((panel) => this.due(panel).length > 0)) return;
    this.changing = false;
    viewDrawn(shown.length, this.view.runs.length);
  }

  private draw(panel: Panel): void {
    const { x } = panel.look;
    const series = this.parts(panel).flatMap((name) => {
      const held = panel.held.get(name);
      return held?.x === x ? held.series : [];
    });
    panel.plan = plan(withoutDoubles(series), x, panel.look.groupBand);
    panel.revision.value += 1;
    this.changing = true;
  }

  /** Draws what is held for the runs that are looked at now. */
  private replan(panel: Panel): void {
    if (panel.plan === null && this.view.runs.length > 0) return;
    // Until all runs as one have come, the picture stays as it is.
    if (this.view.runs.length > 0 && this.isTogether(panel) && !panel.held.has(TOGETHER)) return;
    this.draw(panel);
  }

  private remember(series: Series, x: XKind): void {
    if (series.attempt > 0) return;
    if (Number.isFinite(series.lastT) && series.lastT > 0) dataArrived(series.lastT * 1000);
    const span = series.xMax - series.xMin;
    if (span > (this.spans.peek().get(x) ?? 0)) this.spans.value = new Map(this.spans.peek()).set(x, span);
    if (series.xMax > (this.ends.peek().get(x) ?? Number.NEGATIVE_INFINITY))
      this.ends.value = new Map(this.ends.peek()).set(x, series.xMax);
    if (x === "step" && Number.isFinite(series.lastX)) {
      this.lastStep.value = Math.max(this.lastStep.peek() ?? 0, series.lastX);
    }
  }
}

const pixels = (width: number): number => Math.min(PIXELS_MAX, Math.max(64, Math.ceil(width / 2 / 32) * 32));

function lookOf(
  { x, range, superseded, ranks, smooth, group, groupBand, of }: PanelsView,
  key: string,
): Look {
  const given = { x, range, superseded, smooth: smooth ?? null, group: group ?? [], ...of?.(key) };
  return {
    ...given,
    ...(ranks === undefined ? {} : { ranks }),
    ...(groupBand === undefined ? {} : { groupBand }),
  };
}

const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((item, i) => item === b[i]));

/** What the panel holds answers another question now; the picture stays until the new answer. */
function forget(panel: Panel): void {
  for (const held of panel.held.values()) held.forget();
}

/** Whether an answer for one look is one for the other, whatever runs there are in each. */
function sameLook(a: Look, b: Look): boolean {
  return (
    a.x === b.x &&
    a.superseded === b.superseded &&
    a.ranks === b.ranks &&
    a.range?.[0] === b.range?.[0] &&
    a.range?.[1] === b.range?.[1] &&
    a.smooth?.kind === b.smooth?.kind &&
    a.smooth?.s === b.smooth?.s &&
    a.smooth?.R === b.smooth?.R &&
    JSON.stringify(a.group) === JSON.stringify(b.group)
  );
}

/** A run that came by itself may be among the lines of a density as well. */
function withoutDoubles(series: readonly Series[]): readonly Series[] {
  if (!series.some((one) => one.kind === "density")) return series;
  const name = (one: Series): string => JSON.stringify([one.kind === "density", one.run, one.rank]);
  return [...new Map(series.map((one) => [name(one), one])).values()];
}

function sameSeries(known: readonly Series[], like: Series): Series | undefined {
  return known.find(
    (s) => s.run === like.run && s.key === like.key && s.rank === like.rank && s.attempt === 0,
  );
}
