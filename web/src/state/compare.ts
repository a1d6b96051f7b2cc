/** State of the page that shows runs side by side: which they are, which is the baseline, what of them is shown. */
import { computed, effect, type Signal, signal, untracked } from "@preact/signals";
import { type ApiError, api } from "../data/api.ts";
import { type Entry, entriesOf, type Leaf, leavesOf } from "../data/leaves.ts";
import { CHANGED, type MetricKey, type Nudge, type Range, type Run, type XKind } from "../data/types.ts";
import { t } from "../strings.ts";
import { type Goal, goalFor } from "./deltas.ts";
import { Documents } from "./documents.ts";
import { factsOf, inOrder } from "./facts.ts";
import { dataArrived, follow } from "./live.ts";
import { type Group, outline, type Row } from "./outline.ts";
import { Panels } from "./panels.ts";
import { Resource } from "./resource.ts";
import { queryWord, setQuery } from "./router.ts";

import { matcher } from "./sections.ts";
import { X_KINDS } from "./settings.ts";
import { type Slots, slotsOf } from "./slots.ts";
import { joinList, parseRange, rangeText, splitList } from "./words.ts";

/** Runs that have a column; more are named in words. */
export const COLUMNS_MAX = 100;
/** Stands for no baseline, because without a word the first run is it. */
const NO_BASE = "-";

/** A run and what is known of it; both null until the server has answered. */
export interface Column {
  readonly id: string;
  readonly name: string;
  readonly run: Run | null;
  readonly error: ApiError | null;
}

export class ComparePage {
  readonly page = "compare";
  readonly documents: Documents;
  readonly panels: Panels;
  private readonly catalogue: Resource<readonly MetricKey[]>;
  /** What is shown as a difference of two texts. */
  readonly diff: Signal<{ readonly entry: Entry; readonly column: number } | null> = signal(null);
  private readonly stops: (() => void)[] = [];

  readonly entity: string;
  readonly project: string;

  constructor(entity: string, project: string) {
    this.entity = entity;
    this.project = project;
    this.documents = new Documents(this.id);
    this.panels = new Panels(this.id, `${this.id} compare`, {
      system: false,
      reduction: (key) => ((this.keys.peek().get(key)?.ranks.length ?? 0) > 1 ? "band" : null),
    });
    this.stops.push(follow(this.id, (nudge) => this.onNudge(nudge)));
    this.catalogue = new Resource(
      async (abort) => (await api.keys(this.id, { kind: "scalar" }, abort)).keys,
      5000,
    );
    this.stops.push(
      effect(() => {
        const runs = this.columnIds.value;
        untracked(() => this.documents.want(runs));
      }),
      effect(() => {
        const view = { runs: this.there.value, x: this.x.value, range: this.range.value, superseded: false };
        untracked(() => this.panels.look(view));
      }),
    );
  }

  get id(): string {
    return `${this.entity}:${this.project}`;
  }

  /** All runs of the address, each once. */
  readonly runs = computed<readonly string[]>(() => splitList(queryWord("runs") ?? ""));
  private readonly columnIds = computed(() => this.runs.value.slice(0, COLUMNS_MAX));
  readonly base = computed<string | null>(() => {
    const word = queryWord("base");
    if (word === NO_BASE) return null;
    return word !== null && this.columnIds.value.includes(word) ? word : (this.columnIds.value[0] ?? null);
  });
  readonly onlyDifferences = computed(() => queryWord("diff") === "1");
  readonly search = computed(() => queryWord("q") ?? "");
  readonly closed = computed<ReadonlySet<string>>(() => new Set(splitList(queryWord("fold") ?? "")));
  readonly x = computed<XKind>(() => X_KINDS.find((x) => x === queryWord("x")) ?? "step");
  readonly logY = computed(() => queryWord("logy") === "1");
  readonly range = computed<Range | null>(() => parseRange(queryWord("range")));

  readonly columns = computed<readonly Column[]>(() => {
    const loaded = this.documents.loaded.value;
    return this.columnIds.value.map((id) => {
      const { run = null, error = null } = loaded.get(id) ?? {};
      return { id, name: run?.name ?? id, run, error };
    });
  });

  /** Runs that have been found, in their order. */
  private before: readonly string[] = [];
  readonly there = computed<readonly string[]>(() => {
    const there = this.columns.value.filter(({ run }) => run !== null).map(({ id }) => id);
    // The same runs are the same list, so that news of them draw nothing anew.
    if (there.length !== this.before.length || there.some((id, i) => id !== this.before[i]))
      this.before = there;
    return this.before;
  });

  readonly slots = computed<Slots>(() => slotsOf(new Map(), this.columnIds.value));
  readonly keys = computed<ReadonlyMap<string, MetricKey>>(
    () => new Map((this.catalogue.value.value ?? []).map((key) => [key.key, key])),
  );

  /** Keys that any of the runs has, as charts. */
  readonly charts = computed<readonly string[]>(() => {
    const has = new Set(this.columns.value.flatMap(({ run }) => Object.keys(run?.summary ?? {})));
    return [...this.keys.value.keys()].filter((key) => has.has(key));
  });

  readonly groups = computed<readonly Group[]>(() => {
    const runs = this.columns.value.map(({ run }) => run);
    const places = (of: (run: Run) => Leaf[]): Entry[] =>
      entriesOf(runs.map((run) => (run === null ? null : of(run))));
    const names = t.compare.groups;
    return [
      { id: "facts", name: names.facts, entries: inOrder(places(factsOf)), sorted: false },
      { id: "config", name: names.config, entries: places((run) => leavesOf(run.config)), sorted: true },
      { id: "summary", name: names.summary, entries: places((run) => leavesOf(run.summary)), sorted: true },
    ];
  });

  readonly rows = computed<readonly Row[]>(() => {
    const query = this.search.value;
    return outline(this.groups.value, {
      closed: this.closed.value,
      only: this.onlyDifferences.value,
      test: query === "" ? null : matcher(query).test,
    });
  });

  /** Which way is better for a row of the summary. */
  goal(path: readonly string[]): Goal {
    const key = path[0] ?? "";
    return goalFor(key, this.keys.value.get(key)?.goal);
  }

  setBase(run: string | null): void {
    setQuery({ base: run ?? NO_BASE });
  }

  add(run: string): void {
    if (!this.runs.peek().includes(run)) setQuery({ runs: joinList([...this.runs.peek(), run]) });
  }

  remove(run: string): void {
    const left = this.runs.peek().filter((id) => id !== run);
    const base = queryWord("base") === run ? { base: null } : {};
    setQuery({ runs: left.length === 0 ? null : joinList(left), ...base });
  }

  toggle(row: string): void {
    const closed = new Set(this.closed.peek());
    if (!closed.delete(row)) closed.add(row);
    setQuery({ fold: closed.size === 0 ? null : joinList([...closed]) }, true);
  }

  zoom(window: Range | null): void {
    setQuery({ range: window === null ? null : rangeText(window) });
  }

  name(run: string): string {
    return this.columns.peek().find(({ id }) => id === run)?.name ?? run;
  }

  stop(): void {
    for (const stop of this.stops) stop();
    for (const part of [this.documents, this.catalogue, this.panels]) part.stop();
  }

  private onNudge(nudge: Nudge): void {
    if (nudge.runs.length > 0) dataArrived(Date.now());
    const runs = nudge.runs.filter(([, , bits]) => bits & CHANGED.metrics).map(([run]) => run);
    if (nudge.runs.length === 0) this.panels.changed(null);
    else if (runs.length > 0) this.panels.changed(runs);
    this.documents.onNudge(nudge);
    // A key that is new matters here only if one of these runs has it.
    if (nudge.runs.length === 0 || runs.some((run) => this.runs.peek().includes(run)))
      this.catalogue.changed();
  }
}
