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
import { CHANGED, type MetricKey, type Nudge, type Range } from "../data/types.ts";
import { t } from "../strings.ts";
import type { Section } from "../ui/grid-layout.ts";
import { Crosshair } from "./crosshair.ts";
import { dataArrived, follow } from "./live.ts";
import { Panels } from "./panels.ts";
import { FilterHelp } from "./proposals.ts";
import { Resource } from "./resource.ts";
import { queryText } from "./router.ts";
import { type ListRow, RunList } from "./run-list.ts";
import { type SectionNames, type Shown, shownSections, sortedSections } from "./sections.ts";
import { keptText, Shelf } from "./shelf.ts";
import { keepSlots, type Slots, slotsOf } from "./slots.ts";
import { encodeView, isSeen, type View } from "./view.ts";
import { Viewer } from "./viewer.ts";

/** Lines of a panel at most; what is beyond is counted in words. */
export const LINES_MAX = 300;

export const SECTION_NAMES: SectionNames = { plain: t.run.plain, pinned: t.workspace.pinned };

export class WorkspacePage {
  readonly page = "workspace";
  readonly list: RunList;
  readonly panels: Panels;
  readonly crosshair: Crosshair;
  readonly filterHelp: FilterHelp;
  readonly shelf: Shelf;
  /** Scalar keys; null until the first answer. */
  readonly keys = signal<readonly string[] | null>(null);
  /** The run under the pointer in the list: its lines come to the front. */
  readonly highlight = signal<string | null>(null);
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
      reduction: (key) => ((this.known.get(`scalar ${key}`)?.ranks.length ?? 0) > 1 ? "band" : null),
    });
    this.crosshair = new Crosshair(this.panels);
    this.stops.push(follow(this.id, (nudge) => this.onNudge(nudge)));
    this.catalogue = new Resource((abort) => this.loadKeys(abort), 3000);
    this.stops.push(
      effect(() => {
        const { filter, sort, pins, baseline } = this.view.value;
        const wanted = baseline === null ? pins : [...pins, baseline];
        untracked(() => this.list.look({ filter, sort, wanted: [...new Set(wanted)] }));
      }),
      effect(() => this.colour(this.drawn.value)),
      effect(() => this.crosshair.against(this.view.value.baseline)),
      effect(() => {
        const { x, zoom } = this.view.value;
        const view = { runs: this.drawn.value, x, range: zoom.get(x) ?? null, superseded: false };
        untracked(() => this.panels.look(view));
      }),
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

  /** Zooms all charts with the axis that is on. */
  zoom(range: Range | null): void {
    const { x, zoom } = this.view.peek();
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
    const drawn = [...new Set(first)].slice(0, LINES_MAX);
    // The same runs are the same list, so that news of names alone draw nothing anew.
    if (drawn.length !== this.before.length || drawn.some((run, i) => run !== this.before[i]))
      this.before = drawn;
    return this.before;
  });

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

  name(run: string): string {
    return this.list.row(run)?.name ?? run;
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
    if (nudge.runs.length === 0) this.panels.changed(null);
    else if (runs.length > 0) this.panels.changed(runs);
    if (nudge.runs.length === 0 || runs.length > 0) this.catalogue.changed();
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
      this.keys.value = [...this.known.values()].map((key) => key.key);
    }
    return answer.rev;
  }
}
