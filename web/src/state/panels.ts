/**
 * The charts of one page: which are in view, what each shows, and one series:query for all that are out of date.
 * Plans (typed arrays) are plain fields; a revision signal per panel tells its view to repaint.
 */
import { effect, type Signal, signal } from "@preact/signals";
import { ApiError, api } from "../data/api.ts";
import type { Frame, Series } from "../data/frames.ts";
import type { PanelQuery, Range, XKind } from "../data/types.ts";
import { type Plan, plan } from "../plot/plan.ts";
import { dataArrived, visible } from "./live.ts";
import { Scheduler } from "./scheduler.ts";

/** Columns of a bucket that a line chart draws or tells. */
const COLUMNS = ["n", "min", "max", "last", "mean"];
/** Plans of panels out of view that are kept for scrolling back. */
const KEPT_MAX = 96;
const FEW_SERIES = 20;

export interface Panel {
  readonly id: number;
  readonly key: string;
  plan: Plan | null;
  /** Series as they came, so that `unchanged` can stand for them. */
  series: readonly Series[];
  /** Out of date against the server, the window or the size. */
  stale: boolean;
  /** Revision of `series`; null when they are of another window or size, so that none may stand for a new one. */
  rev: number | null;
  px: number;
  readonly revision: Signal<number>;
  readonly error: Signal<string | null>;
  /** Values that the log axis of the drawn chart cannot show. */
  readonly hidden: Signal<number>;
}

export interface PanelsView {
  readonly x: XKind;
  readonly range: Range | null;
  /** Whether what later attempts have superseded is shown too. */
  readonly superseded: boolean;
}

export class Panels {
  private readonly panels = new Map<string, Panel>();
  private readonly shown = new Set<string>();
  private readonly scheduler: Scheduler;
  private readonly abort = new AbortController();
  private readonly stopWatching: () => void;
  private view: PanelsView = { x: "step", range: null, superseded: false };
  private asked = false;
  /** Largest step seen in any answer. */
  readonly lastStep = signal<number | null>(null);

  private readonly project: string;
  readonly run: string;
  private readonly system: boolean;

  constructor(project: string, run: string, system: boolean) {
    this.project = project;
    this.run = run;
    this.system = system;
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
      series: [],
      stale: true,
      rev: null,
      px: 160,
      revision: signal(0),
      error: signal(null),
      hidden: signal(0),
    };
    this.panels.set(key, made);
    return made;
  }

  /** A panel came into view, `width` CSS pixels wide: buckets are asked for at half of that. */
  show(key: string, width: number): void {
    const panel = this.panel(key);
    const px = Math.max(64, Math.ceil(width / 2 / 32) * 32);
    if (px !== panel.px) forget(panel);
    panel.px = px;
    this.shown.add(key);
    this.ask();
  }

  /** A panel left the view; the oldest plans beyond a limit are dropped. */
  hide(key: string): void {
    this.shown.delete(key);
    const kept = [...this.panels.values()].filter((p) => p.plan !== null && !this.shown.has(p.key));
    for (const old of kept.slice(0, Math.max(0, kept.length - KEPT_MAX))) {
      old.plan = null;
      old.series = [];
      forget(old);
    }
  }

  /** Looks at another window or x axis; the old picture stays until the new one is there. */
  look(view: PanelsView): void {
    const same =
      view.x === this.view.x &&
      view.superseded === this.view.superseded &&
      view.range?.[0] === this.view.range?.[0] &&
      view.range?.[1] === this.view.range?.[1];
    if (same) return;
    this.view = view;
    for (const panel of this.panels.values()) forget(panel);
    this.ask();
  }

  /** The run has new points. */
  changed(): void {
    for (const panel of this.panels.values()) panel.stale = true;
    this.scheduler.nudge();
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
    let total = 0;
    for (const key of this.shown) total += Math.max(1, this.panels.get(key)?.series.length ?? 1);
    return total;
  }

  private due(): Panel[] {
    return [...this.shown].flatMap((key) => {
      const panel = this.panels.get(key);
      return panel?.stale ? [panel] : [];
    });
  }

  private query(panel: Panel): PanelQuery {
    return {
      id: panel.id,
      keys: [panel.key],
      runs: { ids: [this.run] },
      x: this.view.x,
      exp: null,
      px: panel.px,
      range: this.view.range,
      cols: COLUMNS,
      have: panel.rev === null ? {} : { [this.run]: panel.rev },
      system: this.system,
      attempts: this.view.superseded && !this.system ? "all" : "latest",
    };
  }

  private async fetch(): Promise<void> {
    const due = this.due();
    if (due.length === 0) return;
    const { view } = this;
    const query = due.map((panel) => this.query(panel));
    for (const panel of due) panel.stale = false;
    try {
      const frames = await api.series(this.project, query, this.abort.signal);
      const byId = new Map(frames.map((frame) => [frame.panel, frame]));
      // The user zoomed on while this was under way: its panels are stale again, the next answer is right.
      if (view !== this.view) return;
      due.forEach((panel, i) => {
        const frame = byId.get(panel.id);
        if (frame !== undefined) this.accept(panel, frame, query[i]?.px === panel.px);
      });
    } catch (error) {
      if (this.abort.signal.aborted) return;
      for (const panel of due) {
        panel.stale = true;
        // What is drawn stays; the waterline says that it is old. Refusals are told in the panel.
        if (!(error instanceof ApiError && error.status === 0))
          panel.error.value = String((error as Error).message);
      }
      throw error;
    }
  }

  /** Takes an answer; `fits` is false when the panel has another width by now, so that it cannot stand for long. */
  private accept(panel: Panel, frame: Frame, fits: boolean): void {
    const { x } = this.view;
    panel.series = frame.series.map((s) => (s.kind === "unchanged" ? (sameSeries(panel.series, s) ?? s) : s));
    panel.rev = fits ? frame.rev : null;
    panel.plan = plan(panel.series, x);
    panel.error.value = null;
    panel.revision.value += 1;
    for (const s of panel.series) this.remember(s, x);
  }

  private remember(series: Series, x: XKind): void {
    if (series.attempt > 0) return;
    if (Number.isFinite(series.lastT) && series.lastT > 0) dataArrived(series.lastT * 1000);
    if (x === "step" && Number.isFinite(series.lastX)) {
      this.lastStep.value = Math.max(this.lastStep.peek() ?? 0, series.lastX);
    }
  }
}

/** What the panel holds answers another question now; the picture stays until the new answer. */
function forget(panel: Panel): void {
  panel.stale = true;
  panel.rev = null;
}

function sameSeries(known: readonly Series[], like: Series): Series | undefined {
  return known.find(
    (s) => s.run === like.run && s.key === like.key && s.rank === like.rank && s.attempt === 0,
  );
}
