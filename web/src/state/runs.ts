/** The table of a project's runs: what it shows, the cell that the keyboard acts on, which runs are selected. */
import { batch, computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import { type ApiError, api } from "../data/api.ts";
import { CHANGED, type Json, type Nudge, type Run, type RunColumnsKnown } from "../data/types.ts";
import { Bulk } from "./bulk.ts";
import type { Binding } from "./keyboard.ts";
import { dataArrived, follow, visible } from "./live.ts";
import { narrow } from "./preferences.ts";
import { FilterHelp } from "./proposals.ts";
import { Resource } from "./resource.ts";
import { fieldOf, RunEditing } from "./run-edit.ts";
import { Scheduler } from "./scheduler.ts";
import { Shelf } from "./shelf.ts";
import {
  allColumns,
  autoColumns,
  type ColumnInfo,
  type Layout,
  layoutOf,
  type Shown,
  shownColumns,
} from "./table-columns.ts";
import { hasLook, type Look, lookOf, withLook } from "./table-look.ts";
import { TableRows } from "./table-rows.ts";
import { hasView, type View } from "./view.ts";
import { Viewer } from "./viewer.ts";

/** The row of the headers, for the cursor. */
export const HEAD = -1;

export interface Cursor {
  /** A row, or `HEAD`. */
  readonly row: number;
  /** A column, or `SELECT`. */
  readonly column: string;
}

/** The column of the boxes that select runs. */
export const SELECT = "select";

const REFRESH_MS = 1000;
/** What there is to choose from changes seldom, and reading it costs more than reading rows. */
const KNOWN_MS = 10_000;

export class RunsPage {
  readonly page = "runs";
  readonly rows: TableRows;
  readonly filterHelp: FilterHelp;
  readonly shelf: Shelf;
  readonly edit: RunEditing;
  readonly bulk: Bulk;
  readonly known: Resource<RunColumnsKnown>;
  readonly view: ReadonlySignal<View>;
  readonly look: ReadonlySignal<Look>;
  readonly cursor = signal<Cursor | null>(null);
  readonly selected = signal<ReadonlySet<string>>(new Set());
  /** How many ids have come so far while all runs are being selected; null = nobody waits for that. */
  readonly selecting = signal<number | null>(null);
  /** Pointer or focus is in the table, or it is scrolled: rows must not change places. */
  readonly hand = signal(false);
  /** The order may be another one by now. */
  readonly orderOld = signal(false);
  /** A dialog of the page. */
  readonly dialog = signal<"columns" | "tags" | "group" | null>(null);
  readonly saving = signal<AbortController | null>(null);
  readonly saveError = signal<string | null>(null);
  /** What keys do here: known once the table is shown, which is loaded when it is. */
  readonly bindings = signal<readonly Binding[]>([]);
  private readonly firstRows: Promise<void>;
  /** The columns chosen by itself: it only grows, so that none moves. */
  private readonly auto = signal<readonly string[] | null>(null);
  private readonly viewer: Viewer;
  private readonly refresh: Scheduler;
  private readonly abort = new AbortController();
  private readonly stops: (() => void)[] = [];
  /** The row from which `Shift` selects. */
  private anchor: number | null = null;

  readonly entity: string;
  readonly project: string;

  constructor(entity: string, project: string) {
    this.entity = entity;
    this.project = project;
    this.viewer = new Viewer(this.id, undefined, (given) => hasView(given) || hasLook(given));
    this.view = this.viewer.view;
    this.look = computed(() => lookOf(this.view.value));
    this.rows = new TableRows(this.id);
    this.filterHelp = new FilterHelp(this.id);
    this.shelf = new Shelf(this.id, this.view, (view) => this.set(view));
    this.edit = new RunEditing(this.id, (run) => this.put(run));
    this.bulk = new Bulk(this.id, () => this.afterBulk());
    this.refresh = new Scheduler(
      async () => this.bringUpToDate(),
      () => REFRESH_MS,
    );
    this.firstRows = new Promise((done) => {
      const stop = effect(() => {
        if (this.rows.count.value !== null || this.rows.error.value !== null) done();
      });
      this.stops.push(stop);
    });
    this.known = new Resource((abort) => this.loadKnown(abort), KNOWN_MS);
    this.stops.push(
      this.rows.start(),
      follow(this.id, (nudge) => this.onNudge(nudge)),
      effect(() => {
        if (visible.value) this.refresh.resume();
        else this.refresh.pause();
      }),
      effect(() => this.ask()),
      effect(() => {
        if (!this.held.value && this.orderOld.value) untracked(() => this.refresh.nudge());
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

  /** Somebody is about to do something with the rows that they see. */
  readonly held = computed(
    () =>
      this.hand.value ||
      this.selected.value.size > 0 ||
      this.edit.open.value !== null ||
      this.dialog.value !== null,
  );

  readonly columns = computed<readonly ColumnInfo[]>(() => {
    const known = this.known.value.value;
    return known === null ? [] : allColumns(known);
  });

  /** The columns that are shown; before it is known what there is, the pinned ones. */
  readonly shown = computed<Shown>(() => shownColumns(this.look.value, this.auto.value ?? []));

  readonly layout = computed<Layout>(() => layoutOf(this.shown.value, this.look.value, SELECT, narrow.value));

  /** Columns in their order, the boxes first. */
  readonly order = computed<readonly string[]>(() =>
    [...this.layout.value.pinned, ...this.layout.value.rest].map(({ id }) => id),
  );

  set(part: Partial<View>, kind: string | null = null): void {
    this.viewer.set(part, kind);
  }

  setLook(part: Partial<Look>, kind: string | null = null): void {
    this.set(withLook(this.view.peek(), { ...this.look.peek(), ...part }), kind);
  }

  undo(): void {
    this.viewer.undo();
  }

  redo(): void {
    this.viewer.redo();
  }

  /** The present order, though somebody's hand is on the table. */
  reorder(): void {
    this.orderOld.value = false;
    this.rows.reorder();
  }

  /** The run under the cursor. */
  runAtCursor(): string | null {
    const cursor = this.cursor.peek();
    const row = cursor === null ? undefined : this.rows.at(cursor.row);
    return row?.kind === "run" ? row.item.id : null;
  }

  /** Selects a row or lets go of it; with `range` all from the row that was selected last. */
  select(row: number, range = false): void {
    const found = this.rows.at(row);
    if (found?.kind !== "run") return;
    const next = new Set(this.selected.peek());
    if (range && this.anchor !== null) {
      const [low, high] = [Math.min(this.anchor, row), Math.max(this.anchor, row)];
      for (let i = low; i <= high; i++) {
        const each = this.rows.at(i);
        if (each?.kind === "run") next.add(each.item.id);
      }
    } else if (!next.delete(found.item.id)) next.add(found.item.id);
    this.anchor = row;
    this.selected.value = next;
  }

  /** Selects all runs that match, loaded or not; or none, if some are selected. */
  async selectAll(): Promise<void> {
    if (this.selected.peek().size > 0) {
      this.clearSelection();
      return;
    }
    this.selecting.value = 0;
    try {
      const ids = await this.rows.allIds(this.abort.signal, (sofar) => {
        this.selecting.value = sofar;
      });
      this.selected.value = new Set(ids);
    } catch (error) {
      this.saveError.value = error instanceof Error ? error.message : String(error);
    } finally {
      this.selecting.value = null;
    }
  }

  clearSelection(): void {
    this.anchor = null;
    this.selected.value = new Set();
  }

  /** Saves all runs that match with the columns that are shown; asked again while it does, it stops. */
  async saveFile(): Promise<void> {
    const busy = this.saving.peek();
    if (busy !== null) {
      busy.abort();
      return;
    }
    const abort = new AbortController();
    this.saving.value = abort;
    this.saveError.value = null;
    try {
      const { filter } = this.view.peek();
      const { sort } = this.look.peek();
      const { pinned, rest } = this.shown.peek();
      const query = {
        filter: filter.trim() === "" ? null : filter,
        sort: sort.length === 0 ? null : sort,
        columns: [...pinned, ...rest],
      };
      download(await api.runsFile(this.id, query, abort.signal), `${this.project}-runs.csv`);
    } catch (error) {
      if (!abort.signal.aborted)
        this.saveError.value = error instanceof Error ? error.message : String(error);
    } finally {
      this.saving.value = null;
    }
  }

  stop(): void {
    this.abort.abort();
    this.saving.peek()?.abort();
    this.viewer.stop();
    for (const stop of this.stops) stop();
    this.refresh.stop();
    this.known.stop();
    this.shelf.stop();
  }

  private ask(): void {
    const { filter } = this.view.value;
    const { sort, group } = this.look.value;
    untracked(() => {
      this.orderOld.value = false;
      this.rows.ask({ filter, sort, group });
    });
  }

  private afterBulk(): void {
    const { did } = this.bulk.outcome.peek() ?? {};
    // Those that are gone from the list must not stay selected where nobody sees them.
    if (did === "delete" || did === "archive" || did === "undo") this.clearSelection();
    this.reorder();
  }

  /** What an edit has made of a run, at once. */
  private put(run: Run): void {
    const cells = new Map<string, Json>();
    for (const field of ["name", "tags", "notes", "group"] as const) cells.set(field, fieldOf(run, field));
    this.rows.put({ id: run.id, cells });
  }

  private onNudge(nudge: Nudge): void {
    if (nudge.runs.length > 0) dataArrived(Date.now());
    const bits = nudge.runs.reduce((all, [, , each]) => all | each, 0);
    const byValues = this.view.peek().filter !== "" || this.look.peek().sort.length > 0;
    const values = CHANGED.metrics | CHANGED.values | CHANGED.system;
    batch(() => {
      // Points alone bring no run and move none, unless something asks about them.
      if (nudge.runs.length === 0 || byValues || bits & ~values) this.orderOld.value = true;
    });
    if (nudge.runs.length === 0 || bits & (CHANGED.metrics | CHANGED.values)) this.known.changed();
    this.refresh.nudge();
  }

  private bringUpToDate(): void {
    if (this.orderOld.peek() && !this.held.peek()) this.reorder();
    else this.rows.refresh();
  }

  private async loadKnown(abort: AbortSignal): Promise<RunColumnsKnown> {
    // Rows first: on a server that has just started, what there is to choose from takes longer.
    await this.firstRows;
    const known = await api.runColumns(this.id, abort);
    const before = this.auto.peek();
    const now = autoColumns(known);
    this.auto.value = before === null ? now : [...before, ...now.filter((id) => !before.includes(id))];
    return known;
  }
}

/** Has the browser save what was made. */
function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^\p{L}\p{N}._-]+/gu, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Why nothing can be shown at all. */
export function fatal(page: RunsPage): ApiError | null {
  const error = page.rows.error.value;
  return page.rows.count.value === null && error !== null && error.place === null ? error : null;
}
