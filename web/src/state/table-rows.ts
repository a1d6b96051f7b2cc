/**
 * The rows of the table: runs, or groups with the runs of those that are open between them. Rows are counted from 0 over
 * all that match; which of them are loaded is the affair of `RowWindow`.
 */
import { computed, signal } from "@preact/signals";
import { type ApiError, api, type RunsQuery } from "../data/api.ts";
import type { Json, RunColumns, RunState } from "../data/types.ts";
import { groupFilter } from "./group-filter.ts";
import { type Answer, type Question, RowWindow } from "./row-window.ts";
import type { Sort } from "./view.ts";

export interface RunItem {
  readonly id: string;
  readonly cells: ReadonlyMap<string, Json>;
}

/** What a group has in a column. */
export interface GroupCell {
  readonly n: number;
  readonly mean: Json;
  readonly std: Json;
  readonly min: Json;
  readonly max: Json;
}

export interface GroupItem {
  /** The values as JSON. */
  readonly id: string;
  readonly values: readonly Json[];
  readonly runs: number;
  readonly cells: ReadonlyMap<string, GroupCell>;
}

export type TableRow =
  | { readonly kind: "run"; readonly item: RunItem; readonly inside: boolean }
  | { readonly kind: "group"; readonly item: GroupItem; readonly open: boolean };

export interface TableQuestion {
  readonly filter: string;
  readonly sort: readonly Sort[];
  readonly group: readonly string[];
}

/** Known of every run, whatever columns are shown. */
const BASE = ["name", "state", "archived", "created_us", "started_us", "ended_us", "heartbeat_us"];

export function stateOf(item: RunItem): RunState {
  return (item.cells.get("state") ?? "pending") as RunState;
}

export function nameOf(item: RunItem): string {
  return String(item.cells.get("name") ?? item.id);
}

export function timeOf(item: RunItem, column: string): number | null {
  const value = item.cells.get(column);
  return typeof value === "number" ? value : null;
}

export function tagsOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function runItems(answer: RunColumns): RunItem[] {
  const columns = Object.entries(answer.columns);
  return answer.ids.map((id, i) => ({
    id,
    cells: new Map(columns.map(([name, values]) => [name, values[i] ?? null])),
  }));
}

function groupItems(answer: RunColumns, keys: readonly string[]): GroupItem[] {
  const { groups } = answer;
  if (groups === undefined) return [];
  return groups.runs.map((runs, i) => {
    const values = keys.map((key) => groups.keys[key]?.[i] ?? null);
    const cells = Object.entries(groups.columns).map(([name, said]): [string, GroupCell] => [
      name,
      {
        n: said.n[i] ?? 0,
        mean: said.mean[i] ?? null,
        std: said.std[i] ?? null,
        min: said.min[i] ?? null,
        max: said.max[i] ?? null,
      },
    ]);
    return { id: JSON.stringify(values), values, runs, cells: new Map(cells) };
  });
}

const merged = <T extends RunItem | GroupItem>(old: T, news: T): T => ({
  ...news,
  cells: new Map([...old.cells, ...news.cells] as [string, never][]),
});

/** The runs of an open group. */
interface Open {
  /** Which of the groups. */
  at: number;
  readonly item: GroupItem;
  readonly runs: RowWindow<RunItem>;
}

export class TableRows {
  /** Grows when something else is to be seen. */
  readonly version = signal(0);
  private question: TableQuestion = { filter: "", sort: [], group: [] };
  private readonly runs: RowWindow<RunItem>;
  private readonly groups: RowWindow<GroupItem>;
  private readonly opened = new Map<string, Open>();
  private seen = { first: 0, end: 0, columns: [] as readonly string[] };
  private began = false;

  private readonly project: string;

  constructor(project: string) {
    this.project = project;
    this.runs = new RowWindow<RunItem>((asked, abort) => this.askRuns(null, asked, abort), merged);
    this.groups = new RowWindow<GroupItem>((asked, abort) => this.askGroups(asked, abort), merged);
  }

  get grouped(): boolean {
    return this.question.group.length > 0;
  }

  private get main(): RowWindow<RunItem> | RowWindow<GroupItem> {
    return this.grouped ? this.groups : this.runs;
  }

  readonly error = computed<ApiError | null>(() => {
    this.version.value;
    const main = this.grouped ? this.groups.error.value : this.runs.error.value;
    return main ?? this.windows().reduce<ApiError | null>((found, each) => found ?? each.error.value, null);
  });

  /** Rows of the table, loaded or not; null before the first answer. */
  readonly count = computed<number | null>(() => {
    this.version.value;
    const total = this.grouped ? this.groups.total.value : this.runs.total.value;
    if (total === null) return null;
    return this.grouped
      ? [...this.opened.values()].reduce((sum, open) => sum + lengthOf(open), total)
      : total;
  });

  /** Runs, or groups. */
  readonly total = computed<number | null>(() => {
    this.version.value;
    return this.grouped ? this.groups.total.value : this.runs.total.value;
  });

  /** Revision of the order, for those who want all runs in it. */
  get rev(): number | null {
    return this.main.rev;
  }

  /** Asks for other runs, or in another order. Where groups stay groups the old rows stay until the new ones come. */
  ask(question: TableQuestion): void {
    const before = this.question;
    const same = JSON.stringify(before) === JSON.stringify(question);
    if (same && this.began) return;
    this.question = question;
    this.began = true;
    if (JSON.stringify(before.group) !== JSON.stringify(question.group)) this.closeAll();
    this.reorder();
    this.version.value += 1;
  }

  at(row: number): TableRow | undefined {
    const { open, place } = this.locate(row);
    if (open !== null || !this.grouped) {
      const item = (open?.runs ?? this.runs).at(place);
      return item === undefined ? undefined : { kind: "run", item, inside: open !== null };
    }
    const item = this.groups.at(place);
    return item === undefined ? undefined : { kind: "group", item, open: this.opened.has(item.id) };
  }

  /** These rows are in view or soon will be, with these columns. */
  need(first: number, end: number, columns: readonly string[]): void {
    this.seen = { first, end, columns };
    if (!this.began) return;
    if (!this.grouped) {
      this.runs.need(first, end, columns);
      return;
    }
    let before = 0;
    let from = first;
    let to = end;
    for (const open of this.inOrder()) {
      const start = open.at + 1 + before;
      const length = lengthOf(open);
      const low = Math.max(0, first - start);
      const high = Math.min(length, end - start);
      if (low < high) open.runs.need(low, high, columns);
      if (start + length <= first) from -= length;
      else if (start <= first) from = open.at;
      if (start < end) to -= Math.min(length, end - start);
      before += length;
    }
    this.groups.need(Math.max(0, from), Math.max(1, to), columns);
  }

  /** Opens a group, or closes it. */
  toggle(row: number): void {
    const found = this.at(row);
    if (found?.kind !== "group") return;
    const { item } = found;
    const old = this.opened.get(item.id);
    if (old !== undefined) {
      old.runs.stop();
      this.opened.delete(item.id);
    } else {
      const runs = new RowWindow<RunItem>((asked, abort) => this.askRuns(item, asked, abort), merged);
      this.opened.set(item.id, { at: this.locate(row).place, item, runs });
      runs.version.subscribe(() => this.changed());
      runs.error.subscribe(() => this.changed());
    }
    this.changed();
    this.need(this.seen.first, this.seen.end, this.seen.columns);
  }

  /** Values may have changed; the order stays. */
  refresh(): void {
    if (!this.began) return;
    for (const each of [this.main, ...this.windows()]) each.refresh();
  }

  /** The present order. */
  reorder(): void {
    for (const each of [this.main, ...this.windows()]) each.reorder();
  }

  /** Puts what is known of a run in its place. */
  put(item: RunItem): void {
    for (const each of [this.runs, ...this.windows()]) each.put(item);
  }

  /** The row of a run or group among those that are loaded; -1 for none. */
  place(id: string): number {
    const { first, end } = this.seen;
    for (let row = first; row < end; row++) if (this.at(row)?.item.id === id) return row;
    return -1;
  }

  /** Begins to tell of answers. */
  start(): () => void {
    const stops = [
      this.runs.version.subscribe(() => this.changed()),
      this.groups.version.subscribe(() => this.settle()),
      this.runs.error.subscribe(() => this.changed()),
      this.groups.error.subscribe(() => this.changed()),
    ];
    return () => {
      for (const stop of stops) stop();
      for (const each of [this.runs, this.groups, ...this.windows()]) each.stop();
    };
  }

  /** Ids of all runs that match, in the order of the table; `onPart` hears how many there are so far. */
  async allIds(abort: AbortSignal, onPart: (sofar: number) => void): Promise<string[]> {
    const found: string[] = [];
    let rev: number | null = this.grouped ? null : this.rev;
    for (;;) {
      const asked = { offset: found.length, limit: 1000, columns: [], at_rev: rev, ...this.asked(null) };
      const answer = await api.runs(this.project, asked, abort);
      found.push(...answer.ids);
      onPart(found.length);
      rev = answer.rev;
      if (answer.ids.length === 0 || found.length >= answer.total) return [...new Set(found)];
    }
  }

  private windows(): RowWindow<RunItem>[] {
    return [...this.opened.values()].map((open) => open.runs);
  }

  private inOrder(): Open[] {
    return [...this.opened.values()].sort((a, b) => a.at - b.at);
  }

  /** Where a row comes from: which run of an open group, or which run or group of all. */
  private locate(row: number): { open: Open | null; place: number } {
    let before = 0;
    for (const open of this.inOrder()) {
      const first = open.at + 1 + before;
      if (row < first) break;
      if (row < first + lengthOf(open)) return { open, place: row - first };
      before += lengthOf(open);
    }
    return { open: null, place: row - before };
  }

  private closeAll(): void {
    for (const each of this.windows()) each.stop();
    this.opened.clear();
  }

  private changed(): void {
    this.version.value += 1;
  }

  /** Groups may be in another order: open ones are found again, those that are gone are closed. */
  private settle(): void {
    for (const [id, open] of this.opened) {
      if (this.groups.at(open.at)?.id === id) continue;
      const found = [...this.groups.loaded()].find(([, item]) => item.id === id);
      if (found !== undefined) [open.at] = found;
      else if (this.groups.at(open.at) !== undefined) {
        open.runs.stop();
        this.opened.delete(id);
      }
    }
    this.changed();
  }

  private asked(group: GroupItem | null): Pick<RunsQuery, "filter" | "sort"> {
    const { filter, sort, group: keys } = this.question;
    const line = group === null ? filter.trim() : groupFilter(filter, keys, group.values);
    return { filter: line === "" ? null : line, sort: sort.length === 0 ? null : sort };
  }

  private async askRuns(
    group: GroupItem | null,
    { offset, limit, columns, atRev }: Question,
    abort: AbortSignal,
  ): Promise<Answer<RunItem>> {
    // How long a run took follows from when it started and ended, live.
    const wanted = [...new Set([...BASE, ...columns])].filter((column) => column !== "duration");
    const query = { offset, limit, columns: wanted, at_rev: atRev, ...this.asked(group) };
    const answer = await api.runs(this.project, query, abort);
    return { rev: answer.rev, total: answer.total, items: runItems(answer) };
  }

  private async askGroups(
    { offset, limit, columns, atRev }: Question,
    abort: AbortSignal,
  ): Promise<Answer<GroupItem>> {
    const { group } = this.question;
    const { filter, sort } = this.asked(null);
    // In place of names groups have numbers of runs, which the server calls n.
    const byCount = sort?.map(({ key, desc }) => ({ key: key === "name" ? "n" : key, desc })) ?? null;
    const query = {
      offset,
      limit,
      columns: [...columns],
      at_rev: atRev,
      group,
      filter: filter ?? null,
      sort: byCount,
    };
    const answer = await api.runs(this.project, query, abort);
    return { rev: answer.rev, total: answer.groups?.total ?? 0, items: groupItems(answer, group) };
  }
}

/** Rows that an open group takes. */
function lengthOf(open: Open): number {
  return open.runs.total.peek() ?? open.item.runs;
}
