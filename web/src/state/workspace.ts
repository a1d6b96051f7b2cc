/** State of a project's workspace: its runs, its charts, and how they are looked at. */
import {
  batch,
  computed,
  effect,
  type ReadonlySignal,
  type Signal,
  signal,
  untracked,
} from "@preact/signals";
import { api } from "../data/api.ts";
import { CHANGED, type Json, type MetricKey, type Nudge, type Range, type XKind } from "../data/types.ts";
import { show } from "../data/values.ts";
import { t } from "../strings.ts";
import type { Section } from "../ui/grid-layout.ts";
import { Crosshair } from "./crosshair.ts";
import { dataArrived, follow } from "./live.ts";
import { type Look, Panels, type PanelsView } from "./panels.ts";
import { FilterHelp } from "./proposals.ts";
import { Resource } from "./resource.ts";
import { queryText } from "./router.ts";
import { type ListRow, RunList } from "./run-list.ts";
import { type SectionNames, type Shown, shownSections, sortedSections } from "./sections.ts";
import { type Own, type Settings, settingsOf, smoothingSpan, withOwn } from "./settings.ts";
import { keptText, Shelf } from "./shelf.ts";
import { keepSlots, SLOTS, type Slots, slotsOf } from "./slots.ts";
import { encodeView, isSeen, type View } from "./view.ts";
import { Viewer } from "./viewer.ts";

/** Lines of a panel at most; beyond, it is a density with some lines on it. */
export const LINES_MAX = 300;
export const TOP_LINES = 24;
/** Runs of a panel at most; what is beyond is counted in words. */
export const RUNS_MAX = 5000;

export const SECTION_NAMES: SectionNames = { plain: t.run.plain, pinned: t.workspace.pinned };

/** `lr 0.001, opt adam`: a group by what its runs have in common. */
export function groupTitle(by: readonly string[], name: string): string {
  const values = JSON.parse(name) as Json[];
  return by.map((column, i) => `${column.replace(/^config\./, "")} ${show(values[i], true).text}`).join(", ");
}

function stepMetrics(keys: readonly MetricKey[]): ReadonlyMap<string, string> {
  const own = keys.filter(
    (key) => key.step_metric && key.step_metric !== "_step" && key.step_metric !== key.key,
  );
  return new Map(own.map((key) => [key.key, key.step_metric as string]));
}

/** The section that a key is in by its name. */
export const sectionOf = (key: string): string =>
  key.indexOf("/") > 0 ? key.slice(0, key.indexOf("/")) : SECTION_NAMES.plain;

export class WorkspacePage {
  readonly page = "workspace";
  readonly list: RunList;
  readonly panels: Panels;
  readonly crosshair: Crosshair;
  readonly filterHelp: FilterHelp;
  readonly shelf: Shelf;
  /** Scalar keys; null until the first answer. */
  readonly keys = signal<readonly string[] | null>(null);
  /** The key that is x for a key by `define_metric()`. */
  private readonly stepMetrics: Signal<ReadonlyMap<string, string>> = signal(new Map());
  /** The largest step of any run, as far as the catalogue knows. */
  private readonly lastStep = signal(0);
  /** The run under the pointer in the list: its lines come to the front. */
  readonly highlight = signal<string | null>(null);
  /** Whose settings are open; see settings.ts. */
  readonly editing = signal<{
    readonly owner: string;
    readonly full: boolean;
    /** What it had of its own before. */
    readonly before: Own | undefined;
  } | null>(null);
  /** The run that the keyboard acts on. */
  readonly cursor = signal<string | null>(null);
  readonly slots: Signal<Slots> = signal(new Map());
  readonly catalogue: Resource<number>;
  readonly view: ReadonlySignal<View>;
  private readonly viewer: Viewer;
  private readonly known = new Map<string, MetricKey>();
  private keysRev = 0;
  /** Slots that runs had since the page was opened, also those that are hidden by now. */
  private readonly hadSlots = new Map<string, number>();
  private readonly stops: (() => void)[] = [];

  readonly entity: string;
  readonly project: string;

  constructor(entity: string, project: string) {
    this.entity = entity;
    this.project = project;
    this.viewer = new Viewer(this.id, () => this.hadSlots.clear());
    this.view = this.viewer.view;
    this.list = new RunList(this.id);
    this.filterHelp = new FilterHelp(this.id);
    this.shelf = new Shelf(this.id, this.view, (view) => this.set(view));
    this.openSaved();
    this.panels = new Panels(this.id, this.id, {
      system: false,
      budget: { series: LINES_MAX, top: TOP_LINES },
      reduction: (key) => ((this.known.get(`scalar ${key}`)?.ranks.length ?? 0) > 1 ? "band" : null),
    });
    this.crosshair = new Crosshair(this.panels, (run) => this.lineOf(run));
    this.stops.push(follow(this.id, (nudge) => this.onNudge(nudge)));
    this.catalogue = new Resource((abort) => this.loadKeys(abort), 3000);
    this.stops.push(
      effect(() => {
        const { filter, sort, pins, baseline, group } = this.view.value;
        const wanted = baseline === null ? pins : [...pins, baseline];
        untracked(() => this.list.look({ filter, sort, group, wanted: [...new Set(wanted)] }));
      }),
      effect(() => {
        // All runs with an open eye are in the charts, so they have to be known.
        if (this.view.value.eyes.rule === "allBut" && this.list.rows.value !== null)
          this.list.need(Math.min(RUNS_MAX, this.list.total.value));
      }),
      effect(() => this.colour(this.drawn.value.slice(0, LINES_MAX))),
      effect(() => this.crosshair.against(this.view.value.baseline)),
      effect(() => this.look()),
    );
    this.viewer.start();
  }

  get id(): string {
    return `${this.entity}:${this.project}`;
  }

  get canUndo(): ReadonlySignal<boolean> {
    return this.viewer.canUndo;
  }

  get canRedo(): ReadonlySignal<boolean> {
    return this.viewer.canRedo;
  }

  /** Changes the view; changes of one `kind` that follow each other are one step back. */
  set(part: Partial<View>, kind: string | null = null): void {
    this.viewer.set(part, kind);
  }

  undo(): void {
    this.viewer.undo();
  }

  redo(): void {
    this.viewer.redo();
  }

  /** What a panel is drawn with: its own settings, those of its section, those of the workspace. */
  settings(key: string): Settings & Own {
    return settingsOf(this.view.value, this.view.value.owns, sectionOf(key), key);
  }

  /** The x axis of a panel. */
  xOf(key: string): XKind {
    const { x } = this.settings(key);
    if (x !== "auto") return x;
    const metric = this.stepMetrics.value.get(key);
    return metric === undefined ? "step" : `key:${metric}`;
  }

  /** Changes what a panel or a section has of its own. */
  setOwn(owner: string, change: Parameters<typeof withOwn>[2], kind: string | null = null): void {
    this.set({ owns: withOwn(this.view.peek().owns, owner, change) }, kind);
  }

  /** Gives a panel or a section these settings of its own and no others; undefined = none. */
  putOwn(owner: string, own: Own | undefined): void {
    const owns = new Map(this.view.peek().owns);
    if (own === undefined) owns.delete(owner);
    else owns.set(owner, own);
    this.set({ owns });
  }

  /** Opens the settings of a panel or a section. */
  edit(owner: string): void {
    const { owns, full } = this.view.peek();
    this.editing.value = { owner, full: full !== null, before: owns.get(owner) };
  }

  /** Moves zoomed windows so that they end with the newest points. */
  toLatest(): void {
    const ends = this.panels.ends.peek();
    const moved = [...this.view.peek().zoom].map(([x, range]): [XKind, Range] => {
      const end = ends.get(x) ?? range[1];
      return [x, [end - (range[1] - range[0]), end]];
    });
    if (moved.length > 0) this.set({ zoom: new Map(moved) }, "zoom");
  }

  /** The R of time-weighted smoothing over this axis; null while nobody knows how long the runs are. */
  spanOf(x: XKind): number | null {
    const longest = Math.max(this.panels.spans.value.get(x) ?? 0, x === "step" ? this.lastStep.value : 0);
    return longest > 0 ? smoothingSpan(longest) : null;
  }

  /** Whether any chart is zoomed. */
  readonly isZoomed = computed(() => {
    const { x, zoom, owns } = this.view.value;
    const chosen = [x, ...[...owns.values()].map((own) => own.x)];
    const metrics = chosen.includes("auto") ? [...this.stepMetrics.value.values()] : [];
    const axes = new Set([
      ...chosen,
      ...metrics.map((key) => `key:${key}`),
      ...(chosen.includes("auto") ? ["step"] : []),
    ]);
    return (
      [...zoom.keys()].some((axis) => axes.has(axis)) ||
      [...owns.values()].some((own) => own.yRange !== undefined)
    );
  });

  /** Shows everything again, in all charts. */
  resetZoom(): void {
    if (!this.isZoomed.peek()) return;
    let { owns } = this.view.peek();
    for (const owner of owns.keys()) owns = withOwn(owns, owner, { yRange: undefined });
    this.set({ zoom: new Map(), owns });
  }

  /** Zooms all charts with this axis. */
  zoom(x: XKind, range: Range | null): void {
    const { zoom } = this.view.peek();
    if (range === null && !zoom.has(x)) return;
    const next = new Map(zoom);
    if (range === null) next.delete(x);
    else next.set(x, range);
    this.set({ zoom: next }, "zoom");
  }

  /** Opens a panel in full screen: a step of the back button, none of undo. */
  openFull(key: string | null): void {
    const before = this.view.peek().full;
    if (before === key) return;
    this.viewer.step({ full: key }, before === null);
  }

  /** Pinned runs first, then the list; each run once. */
  readonly rows = computed<readonly ListRow[]>(() => {
    const rows = this.list.rows.value ?? [];
    const { pins } = this.view.value;
    if (pins.length === 0) return rows;
    const byId = new Map([...this.list.others.value, ...rows].map((row) => [row.id, row]));
    const top = pins.flatMap((run) => byId.get(run) ?? []);
    const pinned = new Set(pins);
    return [...top, ...rows.filter((row) => !pinned.has(row.id))];
  });

  /** Rows with an open eye; the baseline counts among them, wherever it is. */
  readonly seen = computed<readonly ListRow[]>(() => {
    const { eyes, baseline } = this.view.value;
    const open = new Set(eyes.runs);
    const seen = this.rows.value.filter((row) => open.has(row.id) === (eyes.rule === "only"));
    if (baseline === null || seen.some((row) => row.id === baseline)) return seen;
    const other = this.list.others.value.find((row) => row.id === baseline);
    return other !== undefined && isSeen(eyes, baseline) ? [other, ...seen] : seen;
  });

  /** How many runs have an open eye, also those that are not loaded. */
  readonly seenTotal = computed(() => {
    const rows = this.list.rows.value?.length ?? 0;
    const unloaded = this.view.value.eyes.rule === "allBut" ? this.list.total.value - rows : 0;
    return this.seen.value.length + Math.max(0, unloaded);
  });

  private before: readonly string[] = [];
  /** Runs that are drawn: with an open eye, the first by the order of the list. */
  readonly drawn = computed<readonly string[]>(() => {
    const { baseline } = this.view.value;
    const ids = this.seen.value.map((row) => row.id);
    const first = baseline !== null && ids.includes(baseline) ? [baseline, ...ids] : ids;
    const drawn = [...new Set(first)].slice(0, RUNS_MAX);
    // The same runs are the same list, so that news of names alone draw nothing anew.
    if (drawn.length !== this.before.length || drawn.some((run, i) => run !== this.before[i]))
      this.before = drawn;
    return this.before;
  });

  /** Colour slots of groups, in the order of their names. */
  readonly groupSlots = computed<Slots>(() => {
    if (this.view.value.group.length === 0) return new Map();
    const names = [...new Set(this.seen.value.map((row) => row.group))].sort();
    return new Map(names.map((name, i) => [name, i % SLOTS]));
  });

  /** Columns that runs may be grouped by, as far as they have been asked for. */
  readonly groupProposals: Signal<readonly string[]> = signal([]);

  async proposeGroups(): Promise<void> {
    try {
      const texts = await Promise.all(
        ["", "config."].map((text) => api.complete(this.id, text, text.length)),
      );
      const found = texts.flatMap(({ kind, items }) =>
        kind === "key" ? items.map((item) => item.text) : [],
      );
      this.groupProposals.value = [...new Set(found.map((text) => text.replace(/[:=<>!~]+$/, "")))];
    } catch {
      // Without proposals a name can still be typed.
      this.groupProposals.value = [];
    }
  }

  /** Groups runs by columns that are given with commas between them; none ends it. */
  groupBy(text: string): void {
    const columns = text.split(",").map((column) => column.trim());
    const group = [...new Set(columns.filter((column) => column !== ""))];
    if (group.join() !== this.view.peek().group.join()) this.set({ group });
  }

  /** The name under which a run is drawn: its own, or that of its group. */
  lineOf(run: string): string {
    return this.view.peek().group.length === 0 ? run : (this.list.row(run)?.group ?? run);
  }

  /** The slot of a run, or of its group. */
  slotOf(run: string): number | undefined {
    return this.view.value.group.length === 0
      ? this.slots.value.get(run)
      : this.groupSlots.value.get(this.list.row(run)?.group ?? "");
  }

  private readonly sorted = computed<readonly Section[]>(() =>
    sortedSections(this.keys.value ?? [], SECTION_NAMES),
  );

  readonly shown = computed<Shown>(() => shownSections(this.sorted.value, this.view.value, SECTION_NAMES));

  /** Panels in the order of the page, without those of folded sections. */
  readonly order = computed<readonly string[]>(() => {
    const closed = new Set(this.view.value.closed);
    return this.shown.value.sections.flatMap((section) => (closed.has(section.name) ? [] : section.keys));
  });

  /** The query of a link to what is shown, with one panel in full screen. */
  link(full: string | null): string {
    return queryText(encodeView({ ...this.view.peek(), full }));
  }

  /** What a line of this run, or of this group, is called. */
  name(run: string): string {
    const { group } = this.view.peek();
    return group.length === 0 ? (this.list.row(run)?.name ?? run) : groupTitle(group, run);
  }

  stop(): void {
    this.viewer.stop();
    for (const stop of this.stops) stop();
    for (const part of [this.list, this.panels, this.catalogue, this.crosshair, this.shelf]) part.stop();
  }

  /** A link that names a kept view and nothing else means that view as it is kept. */
  private openSaved(): void {
    const view = this.view.peek();
    if (view.saved !== null) void this.shelf.open(view.saved, keptText(view) !== "");
  }

  /** Tells the charts what is to be seen now. */
  private look(): void {
    const view = this.view.value;
    const runs = this.drawn.value;
    // A density has a line for the run under the pointer, too.
    const extra = runs.length > LINES_MAX ? this.highlight.value : null;
    const top = view.baseline === null ? view.pins : [view.baseline, ...view.pins];
    const { group, groupBand } = view;
    const of = (key: string): Partial<Look> => {
      const x = this.xOf(key);
      const { smooth } = this.settings(key);
      const R = smooth?.kind === "twema" ? this.spanOf(x) : undefined;
      const known = smooth === null || R === null ? null : R === undefined ? smooth : { ...smooth, R };
      return { x, range: view.zoom.get(x) ?? null, smooth: known };
    };
    // What the looks of panels depend on, also while there is no panel.
    this.stepMetrics.value;
    this.panels.spans.value;
    this.lastStep.value;
    const whole: PanelsView = {
      runs,
      top,
      extra,
      group,
      groupBand,
      of,
      x: "step",
      range: null,
      superseded: false,
    };
    untracked(() => this.panels.look(whole));
  }

  /** Gives drawn runs their slots, and stores what is needed for them to keep those. */
  private colour(drawn: readonly string[]): void {
    untracked(() => {
      const created = new Map(this.seen.peek().map((row) => [row.id, row.createdUs]));
      const at = (run: string): number => created.get(run) ?? 0;
      const inOrder = [...drawn].sort((a, b) => at(a) - at(b) || (a < b ? -1 : 1));
      const { slots } = this.view.peek();
      const stored = keepSlots(slots, this.hadSlots, inOrder);
      const found = slotsOf(stored, inOrder);
      for (const [run, slot] of found) this.hadSlots.set(run, slot);
      batch(() => {
        if (stored !== slots) this.viewer.amend({ slots: stored });
        this.slots.value = found;
      });
    });
  }

  private onNudge(nudge: Nudge): void {
    const runs = nudge.runs.filter(([, , bits]) => bits & CHANGED.metrics).map(([run]) => run);
    if (nudge.runs.length > 0) dataArrived(Date.now());
    // Points first: they are what somebody is waiting for.
    if (nudge.runs.length === 0) this.panels.changed(null, nudge.rev);
    else if (runs.length > 0) this.panels.changed(runs, nudge.rev);
    if (nudge.runs.length === 0 ? nudge.rev > this.keysRev : runs.length > 0) this.catalogue.changed();
    this.list.onNudge(nudge);
  }

  /** Asks for the keys that changed since the last answer and merges them. */
  private async loadKeys(abort: AbortSignal): Promise<number> {
    const since = this.keysRev > 0 ? { since: String(this.keysRev) } : {};
    const answer = await api.keys(this.id, { kind: "scalar", ...since }, abort);
    const before = this.known.size;
    for (const key of answer.keys) this.known.set(`${key.kind} ${key.key}`, key);
    this.keysRev = answer.rev;
    if (this.keys.peek() === null || this.known.size !== before) {
      const keys = [...this.known.values()];
      batch(() => {
        this.stepMetrics.value = stepMetrics(keys);
        this.lastStep.value = keys.reduce((last, key) => Math.max(last, key.last_step ?? 0), 0);
        this.keys.value = keys.map((key) => key.key);
      });
    }
    return answer.rev;
  }
}
