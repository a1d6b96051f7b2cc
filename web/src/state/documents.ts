/** The documents of several runs, loaded side by side and again when there is news of one of them. */
import { effect, signal } from "@preact/signals";
import { ApiError, api } from "../data/api.ts";
import { CHANGED, type Nudge, type Run } from "../data/types.ts";
import { visible } from "./live.ts";
import { Scheduler } from "./scheduler.ts";

export interface Loaded {
  readonly run: Run | null;
  /** Why there is none, or no newer one. */
  readonly error: ApiError | null;
}

const INTERVAL_MS = 2000;

export class Documents {
  /** Of the runs that were asked for, as far as the server has answered. */
  readonly loaded = signal<ReadonlyMap<string, Loaded>>(new Map());
  /** Why nothing could be loaded at all: the server did not answer. */
  readonly error = signal<ApiError | null>(null);
  private wanted: readonly string[] = [];
  private readonly stale = new Set<string>();
  private readonly abort = new AbortController();
  private readonly scheduler: Scheduler;
  private readonly stopWatching: () => void;

  private readonly project: string;

  constructor(project: string) {
    this.project = project;
    this.scheduler = new Scheduler(
      () => this.load(),
      () => INTERVAL_MS,
    );
    this.stopWatching = effect(() => {
      if (visible.value) this.scheduler.resume();
      else this.scheduler.pause();
    });
  }

  /** Loads those of the runs that are not there yet. */
  want(runs: readonly string[]): void {
    this.wanted = runs;
    const missing = runs.filter((run) => !this.loaded.peek().has(run) && !this.stale.has(run));
    for (const run of missing) this.stale.add(run);
    if (missing.length > 0) this.scheduler.urge();
  }

  /** News of runs; one that names none may be about any. */
  onNudge(nudge: Nudge): void {
    const bits = CHANGED.state | CHANGED.values | CHANGED.metrics;
    const named = nudge.runs.flatMap(([run, , changed]) => (changed & bits ? [run] : []));
    const about = nudge.runs.length === 0 ? this.wanted : named.filter((run) => this.wanted.includes(run));
    for (const run of about) this.stale.add(run);
    if (about.length > 0) this.scheduler.nudge();
  }

  retry(): void {
    for (const run of this.wanted) this.stale.add(run);
    this.scheduler.urge();
  }

  stop(): void {
    this.stopWatching();
    this.scheduler.stop();
    this.abort.abort();
  }

  private async load(): Promise<void> {
    const due = this.wanted.filter((run) => this.stale.has(run));
    this.stale.clear();
    const found = await Promise.all(due.map(async (run) => [run, await this.one(run)] as const));
    if (this.abort.signal.aborted) return;
    const next = new Map(this.loaded.peek());
    for (const [run, loaded] of found) {
      // What was there stays while the server does not answer.
      if (loaded.error?.status === 0) this.stale.add(run);
      else next.set(run, loaded);
    }
    this.loaded.value = next;
    const silent = found.find(([, { error }]) => error?.status === 0)?.[1].error ?? null;
    this.error.value = silent;
    if (silent !== null) throw silent;
  }

  private async one(run: string): Promise<Loaded> {
    try {
      return { run: await api.run(this.project, run, this.abort.signal), error: null };
    } catch (error) {
      return { run: null, error: error instanceof ApiError ? error : new ApiError(-1, "bug", String(error)) };
    }
  }
}
