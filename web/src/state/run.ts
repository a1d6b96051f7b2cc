/** State of a run page: the run's document, its metric keys, and the charts of both chart tabs. */
import { batch, computed, effect, signal } from "@preact/signals";
import { ApiError, api, type RunEdit } from "../data/api.ts";
import { CHANGED, type MetricKey, type Nudge, type Range, type Run, type XKind } from "../data/types.ts";
import { t } from "../strings.ts";
import { baseOf } from "./config-look.ts";
import { DeviceBoard } from "./device-board.ts";
import { Documents } from "./documents.ts";
import { bitsFor } from "./feed.ts";
import { dataArrived, ended, follow } from "./live.ts";
import { Beside, lastView } from "./neighbours.ts";
import { Panels } from "./panels.ts";
import { asked, leftOut, machineName, rankMode, ranksOf } from "./ranks.ts";
import { Resource } from "./resource.ts";
import { queryWord, setQuery } from "./router.ts";
import { parseRange, rangeText } from "./words.ts";

export type Tab = "charts" | "overview" | "system" | "events";
export const TABS: readonly Tab[] = ["overview", "charts", "system", "events"];

export const tab = computed<Tab>(() => TABS.find((name) => name === queryWord("tab")) ?? "charts");
/** How the charts are looked at: part of the URL. */
export const xKind = computed<XKind>(() => (queryWord("x") === "rel" ? "rel" : "step"));
export const logY = computed(() => queryWord("logy") === "1");
/** Whether charts also show what later attempts have superseded. */
export const superseded = computed(() => queryWord("attempts") === "all");
export const search = computed(() => queryWord("q") ?? "");
export const range = computed<Range | null>(() => parseRange(queryWord("range")));

/** Puts a zoom into the URL. */
export function zoom(window: Range | null): void {
  setQuery({ range: window === null ? null : rangeText(window) });
}

export class RunPage {
  readonly page = "run";
  readonly run: Resource<Run>;
  readonly charts: Panels;
  readonly system: Panels;
  /** The curves beside the summary. */
  readonly sparks: Panels;
  readonly beside: Beside;
  readonly devices: DeviceBoard;
  /** The baseline's document. */
  private readonly others: Documents;
  /** Keys by kind, sorted as they are shown; null until the first answer. */
  readonly keys = signal<readonly string[] | null>(null);
  readonly systemKeys = signal<readonly string[] | null>(null);
  /** Why the last request to stop, delete or restore the run was not taken. */
  readonly deedError = signal<ApiError | null>(null);
  private readonly catalogue: Resource<number>;
  private readonly known = new Map<string, MetricKey>();
  private keysRev = 0;
  private readonly stops: (() => void)[] = [];

  readonly entity: string;
  readonly project: string;
  readonly id: string;

  constructor(entity: string, project: string, id: string) {
    this.entity = entity;
    this.project = project;
    this.id = id;
    const p = `${entity}:${project}`;
    this.charts = new Panels(p, id, {
      system: false,
      reduction: () => asked(this.ranks.peek(), rankMode.peek()),
      remark: () => leftOut(this.ranks.value, rankMode.value),
    });
    this.system = new Panels(p, id, {
      system: true,
      nameOf: (line) => machineName(this.run.value.peek()?.machines ?? [], line),
    });
    this.sparks = new Panels(p, `${id} summary`, {
      system: false,
      reduction: () => (this.ranks.peek().length > 1 ? "band" : null),
    });
    this.devices = new DeviceBoard({
      panels: this.system,
      keys: this.systemKeys,
      machines: (key) => this.known.get(`system ${key}`)?.ranks.length ?? 0,
      run: computed(() => this.run.value.value),
      range,
    });
    this.others = new Documents(p);
    this.beside = new Beside(p, id);
    this.stops.push(follow(p, (nudge) => this.onNudge(nudge)));
    this.run = new Resource((abort) => api.run(p, id, abort), 1000);
    this.catalogue = new Resource((abort) => this.loadKeys(p, abort), 2000);
    this.stops.push(
      effect(() => {
        const ranks = JSON.stringify(asked(this.ranks.value, rankMode.value));
        const window = { x: xKind.value, range: range.value, superseded: superseded.value };
        this.charts.look({ runs: [id], ...window, ranks });
      }),
      effect(() => {
        const ranks = this.ranks.value.length > 1 ? "band" : "";
        this.sparks.look({ runs: [id], x: "step", range: null, superseded: false, ranks });
      }),
      effect(() => {
        if (tab.value === "overview") this.others.want(this.base.value === null ? [] : [this.base.value]);
      }),
      effect(() => this.system.look({ runs: [id], x: "rel", range: range.value, superseded: false })),
      effect(() => {
        const state = this.run.value.value?.state;
        ended.value = state !== undefined && state !== "running";
      }),
      effect(() => {
        if (tab.value === "overview") this.run.changed();
      }),
    );
  }

  /** Ranks of logged keys, those that a fork has from its parent among them. */
  private readonly loggedRanks = signal<readonly number[]>([]);
  /** All ranks that charts may have to show. */
  readonly ranks = computed<readonly number[]>(() =>
    ranksOf(this.run.value.value?.writers ?? [], this.loggedRanks.value),
  );

  /** The newest step that is known, from the charts or the processes. */
  readonly step = computed<number | null>(() => {
    const writers = this.run.value.value?.writers ?? [];
    const steps = writers.flatMap((w) => (w.last_step === null ? [] : [w.last_step]));
    const newest = Math.max(this.charts.lastStep.value ?? -1, ...steps);
    return newest < 0 ? null : newest;
  });

  /** The run that this one's config is shown beside. */
  readonly base = computed<string | null>(() =>
    baseOf(this.id, lastView(`${this.entity}:${this.project}`).baseline),
  );
  readonly baseRun = computed<Run | null>(
    () => this.others.loaded.value.get(this.base.value ?? "")?.run ?? null,
  );
  /** Why there is no document of it. */
  readonly baseError = computed<ApiError | null>(
    () => this.others.loaded.value.get(this.base.value ?? "")?.error ?? null,
  );

  /** Which way is better for a key, as define_metric() said of it. */
  goalOf(key: string): string | null {
    return this.known.get(`scalar ${key}`)?.goal ?? null;
  }

  /** Whether the run is deleted, and can be restored. */
  readonly deleted = computed(() => this.run.error.value?.code === "run_deleted");

  /** Asks the run's processes to stop; how it goes on is in the run's document. */
  requestStop(): Promise<void> {
    return this.act(() => api.stop(`${this.entity}:${this.project}`, this.id));
  }

  /** Changes what people say of the run over a version of it; returns why that was not possible. */
  async edit(edit: RunEdit, version: string): Promise<string | null> {
    try {
      this.run.value.value = await api.patchRun(`${this.entity}:${this.project}`, this.id, edit, version);
      return null;
    } catch (error) {
      if (!(error instanceof ApiError)) return String(error);
      if (error.status !== 412) return t.edit.failed(error.status === 0 ? t.errors.offline : error.message);
      await this.reload();
      return t.edit.changed;
    }
  }

  private tagging: Promise<unknown> = Promise.resolve();

  /** Makes other tags of those that are there by then, one change after the other; returns why that was not possible. */
  changeTags(made: (tags: readonly string[]) => readonly string[]): Promise<string | null> {
    const done = this.tagging.then(async () => {
      let failed: string | null = null;
      // Somebody else's tags do not contradict ours: with theirs in place, ours are tried once more.
      for (let tries = 0; tries < 2; tries++) {
        const run = this.run.value.peek();
        if (run === null) return t.errors.noRun;
        failed = await this.edit({ tags: made(run.tags) }, run.edit_tag);
        if (failed !== t.edit.changed) break;
      }
      return failed;
    });
    this.tagging = done;
    return done;
  }

  /** Puts the run away, or takes it back out. */
  async archive(archived: boolean): Promise<void> {
    const version = this.run.value.peek()?.edit_tag ?? "";
    const path = `${this.entity}:${this.project}`;
    await this.act(async () => void (await api.patchRun(path, this.id, { archived }, version)));
  }

  private async reload(): Promise<void> {
    try {
      this.run.value.value = await api.run(`${this.entity}:${this.project}`, this.id);
    } catch {
      this.run.changed();
    }
  }

  delete(): Promise<void> {
    return this.act(() => api.deleteRun(`${this.entity}:${this.project}`, this.id));
  }

  async restore(): Promise<void> {
    await this.act(() => api.restoreRun(`${this.entity}:${this.project}`, this.id));
    for (const panels of [this.charts, this.system, this.sparks]) panels.changed([this.id]);
  }

  private async act(deed: () => Promise<void>): Promise<void> {
    try {
      await deed();
      this.deedError.value = null;
    } catch (error) {
      this.deedError.value = error instanceof ApiError ? error : new ApiError(-1, "bug", String(error));
    }
    this.run.retry();
  }

  stop(): void {
    for (const stop of this.stops) stop();
    const { run, catalogue, charts, system, sparks, others, beside } = this;
    for (const part of [run, catalogue, charts, system, sparks, others, beside]) part.stop();
  }

  private onNudge(nudge: Nudge): void {
    const bits = bitsFor(nudge, this.id);
    this.others.onNudge(nudge);
    if (bits === 0) return;
    if (nudge.runs.length > 0) dataArrived(Date.now());
    // Points first: they are what somebody is waiting for.
    if (bits & CHANGED.metrics) for (const panels of [this.charts, this.sparks]) panels.changed(null);
    if (bits & CHANGED.system) this.system.changed(null);
    if (bits & (CHANGED.metrics | CHANGED.system)) this.catalogue.changed();
    // The header needs the document only when the state changes or something happens; its values are on the overview.
    if (
      bits & (CHANGED.state | CHANGED.events) ||
      (tab.peek() === "overview" && bits & (CHANGED.values | CHANGED.metrics))
    ) {
      this.run.changed();
    }
  }

  /** Asks for the keys that changed since the last answer and merges them. */
  private async loadKeys(p: string, abort: AbortSignal): Promise<number> {
    const since = this.keysRev > 0 ? { since: String(this.keysRev) } : {};
    const answer = await api.keys(p, { run: this.id, ...since }, abort);
    const before = this.known.size;
    for (const key of answer.keys) this.known.set(`${key.kind} ${key.key}`, key);
    this.keysRev = answer.rev;
    if (this.keys.peek() === null || this.known.size !== before) this.publish();
    return answer.rev;
  }

  private publish(): void {
    const names = (kind: MetricKey["kind"]): string[] =>
      [...this.known.values()].filter((key) => key.kind === kind).map((key) => key.key);
    const scalars = [...this.known.values()].filter((key) => key.kind === "scalar");
    batch(() => {
      this.loggedRanks.value = scalars.flatMap((key) => key.ranks);
      this.keys.value = names("scalar");
      this.systemKeys.value = names("system");
    });
  }
}
