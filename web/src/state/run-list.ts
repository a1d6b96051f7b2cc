/**
 * The runs of a project as a list that can be long: its first rows are loaded, more as somebody scrolls. News of runs
 * that are loaded refresh only those; what may change the order or who belongs to the list loads it anew.
 */
import { effect, signal } from "@preact/signals";
import { ApiError, api, type RunsQuery } from "../data/api.ts";
import { CHANGED, type Json, type Nudge, type RunColumns, type RunState } from "../data/types.ts";
import { dataArrived, visible } from "./live.ts";
import { Scheduler } from "./scheduler.ts";
import type { Sort } from "./view.ts";

const COLUMNS = ["name", "state", "created_us", "heartbeat_us"];
/** Rows of one request, and of the first load. */
const PAGE_ROWS = 1000;

export interface ListRow {
  readonly id: string;
  readonly name: string;
  readonly state: RunState;
  readonly createdUs: number;
  /** The values that its group has in common, as the server names it; without groups the empty list. */
  readonly group: string;
}

interface Look {
  readonly filter: string;
  readonly sort: Sort;
  /** Runs that are wanted wherever they stand in the list, also where the filter leaves them out. */
  readonly wanted: readonly string[];
  /** Columns that make groups. */
  readonly group: readonly string[];
}

/** A group's name whatever program has written it. */
export const groupName = (values: Json): string => JSON.stringify(values);

function rowsOf(answer: RunColumns, group: readonly string[]): ListRow[] {
  const at = (column: string, i: number): Json | undefined => answer.columns[column]?.[i];
  return answer.ids.map((id, i) => {
    const created = at("created_us", i);
    return {
      id,
      name: String(at("name", i) ?? id),
      state: (at("state", i) ?? "pending") as RunState,
      createdUs: typeof created === "number" ? created : 0,
      group: groupName(group.map((column) => at(column, i) ?? null)),
    };
  });
}

export class RunList {
  /** In the order of the list; null until the first answer. */
  readonly rows = signal<readonly ListRow[] | null>(null);
  /** Wanted runs that are not among `rows`. */
  readonly others = signal<readonly ListRow[]>([]);
  /** How many runs match, loaded or not. */
  readonly total = signal(0);
  readonly error = signal<ApiError | null>(null);
  private readonly scheduler: Scheduler;
  private readonly abort = new AbortController();
  private readonly stopWatching: () => void;
  private look_: Look | null = null;
  private pages = 1;
  /** Null = everything is to be loaded anew. */
  private dirty: Set<string> | null = null;
  /** Of the list as it was loaded the last time as a whole. */
  private rev = -1;

  private readonly project: string;

  constructor(project: string) {
    this.project = project;
    this.scheduler = new Scheduler(
      () => this.load(),
      () => 1000,
    );
    this.stopWatching = effect(() => {
      if (visible.value) this.scheduler.resume();
      else this.scheduler.pause();
    });
  }

  /** Shows another part of the runs, or in another order; the old rows stay until the new ones are there. */
  look(look: Look): void {
    const before = this.look_;
    this.look_ = look;
    const same =
      before !== null &&
      before.filter === look.filter &&
      before.sort.key === look.sort.key &&
      before.sort.desc === look.sort.desc &&
      before.group.join() === look.group.join();
    if (same && look.wanted.every((run) => this.row(run) !== undefined)) return;
    if (!same) this.pages = 1;
    this.dirty = null;
    this.scheduler.urge();
  }

  /** Rows up to this number are going to be seen. */
  need(rows: number): void {
    const pages = Math.ceil(Math.min(rows, this.total.peek()) / PAGE_ROWS);
    if (pages <= this.pages) return;
    this.pages = pages;
    this.dirty = null;
    this.scheduler.urge();
  }

  row(run: string): ListRow | undefined {
    const same = (row: ListRow): boolean => row.id === run;
    return this.rows.peek()?.find(same) ?? this.others.peek().find(same);
  }

  /** Points alone change nothing that the list shows, unless it is sorted by them. */
  onNudge(nudge: Nudge): void {
    const known = new Set([...(this.rows.peek() ?? []), ...this.others.peek()].map((row) => row.id));
    const sorted = this.look_ !== null && /^(summary\.|heartbeat_us|ended_us)/.test(this.look_.sort.key);
    const filtered = this.look_ !== null && this.look_.filter !== "";
    if (nudge.runs.length === 0 && nudge.rev <= this.rev) return;
    if (nudge.runs.length === 0) this.dirty = null;
    let news = nudge.runs.length === 0;
    for (const [run, , bits] of nudge.runs) {
      const told = known.has(run) && !(bits & ~(CHANGED.metrics | CHANGED.values | CHANGED.system));
      if (told && !sorted && !filtered) continue;
      news = true;
      if (!known.has(run) || sorted || filtered) this.dirty = null;
      else this.dirty?.add(run);
    }
    if (news) this.scheduler.nudge();
  }

  retry(): void {
    this.scheduler.urge();
  }

  stop(): void {
    this.stopWatching();
    this.scheduler.stop();
    this.abort.abort();
  }

  private async load(): Promise<void> {
    if (this.look_ === null) return;
    const { dirty } = this;
    this.dirty = new Set();
    try {
      if (dirty === null) await this.loadAll(this.look_);
      else if (dirty.size > 0) {
        const news = this.rowsOf(await this.ask({ id: { $in: [...dirty] } }, 0));
        // One that is not there any more has been deleted, and another may be in its place.
        if (news.length < dirty.size) await this.loadAll(this.look_);
        else this.merge(news);
      }
      this.error.value = null;
    } catch (error) {
      if (this.abort.signal.aborted) return;
      this.dirty = null;
      this.error.value = error instanceof ApiError ? error : new ApiError(-1, "bug", String(error));
      // A line that is being typed is often not yet a filter. The next one is asked for when it is there.
      if (this.error.value.place !== null) return;
      throw error;
    }
  }

  private async loadAll(look: Look): Promise<void> {
    const rows = new Map<string, ListRow>();
    let total = 0;
    let rev = Number.POSITIVE_INFINITY;
    for (let page = 0; page < this.pages; page++) {
      const answer = await this.ask(look.filter.trim() || null, page * PAGE_ROWS);
      for (const row of this.rowsOf(answer)) rows.set(row.id, row);
      total = answer.total;
      rev = Math.min(rev, answer.rev);
    }
    const missing = look.wanted.filter((run) => !rows.has(run));
    const others = missing.length === 0 ? [] : this.rowsOf(await this.ask({ id: { $in: missing } }, 0));
    // Somebody has looked elsewhere meanwhile: that is being loaded next.
    if (look !== this.look_ && look.filter !== this.look_?.filter) return;
    this.rev = rev;
    this.total.value = total;
    this.others.value = others;
    this.rows.value = [...rows.values()];
  }

  private rowsOf(answer: RunColumns): ListRow[] {
    return rowsOf(answer, this.look_?.group ?? []);
  }

  private merge(rows: readonly ListRow[]): void {
    const news = new Map(rows.map((row) => [row.id, row]));
    const merged = (old: readonly ListRow[]): ListRow[] => old.map((row) => news.get(row.id) ?? row);
    this.rows.value = merged(this.rows.peek() ?? []);
    this.others.value = merged(this.others.peek());
  }

  private async ask(filter: Json, offset: number): Promise<RunColumns> {
    const sort = this.look_?.sort ?? { key: "created_us", desc: true };
    const columns = [...COLUMNS, ...(this.look_?.group ?? [])];
    const query: RunsQuery = { filter, columns, sort: [sort], offset, limit: PAGE_ROWS };
    const answer = await api.runs(this.project, query, this.abort.signal);
    const beats = (answer.columns.heartbeat_us ?? []).map((us) => (typeof us === "number" ? us : 0));
    const newest = beats.reduce((a, b) => Math.max(a, b), 0);
    if (newest > 0) dataArrived(newest / 1000);
    return answer;
  }
}
