/**
 * Nudges from the server ("run X is at revision N"). Server-sent events first; after two failed connects the
 * long poll. Hidden tabs hold no connection (browsers allow six per origin) and catch up with one nudge when they
 * come back, because everything is a revision, not a log of events.
 */
import { address, api } from "../data/api.ts";
import { CHANGED_ALL, type Nudge } from "../data/types.ts";
import { type Clock, wallClock } from "./scheduler.ts";

export type FeedStatus = "connecting" | "open" | "lost";

/** What the feed needs of EventSource, so that a test can stand in for the network. */
export interface Source {
  onopen: ((event: Event) => void) | null;
  onerror: ((event: Event) => void) | null;
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

export interface FeedParts {
  readonly connect: (project: string | null) => Source;
  readonly poll: (
    project: string,
    since: number,
    signal: AbortSignal,
  ) => Promise<Partial<Nudge> & { rev: number }>;
  readonly clock: Clock;
}

/** Nobody has this revision: everything is to be asked for. */
export const ANY_REV = Number.MAX_SAFE_INTEGER;

const CONNECTS_MAX = 2;
const RETRY_MS = [1000, 2000, 5000, 15_000];

const browser: FeedParts = {
  connect: (project) =>
    new EventSource(address(`api/v1/events${project === null ? "" : `?p=${encodeURIComponent(project)}`}`)),
  poll: (project, since, signal) => api.rev(project, since, signal),
  clock: wallClock,
};

export class Feed {
  private source: Source | null = null;
  private polling: AbortController | null = null;
  private cancelRetry: (() => void) | null = null;
  /** Failures in a row, for the back-off. */
  private failures = 0;
  /** Streams that could not be opened since one could, or since the long poll was tried. */
  private connects = 0;
  private rev = 0;
  private epoch: number | null = null;
  private active = false;

  /** `project` null = all projects. `onNudge` with no runs means: anything may have changed up to its revision. */
  private readonly project: string | null;
  private readonly onNudge: (nudge: Nudge) => void;
  private readonly onStatus: (status: FeedStatus) => void;
  private readonly parts: FeedParts;

  constructor(
    project: string | null,
    onNudge: (nudge: Nudge) => void,
    onStatus: (status: FeedStatus) => void,
    parts: FeedParts = browser,
  ) {
    this.project = project;
    this.onNudge = onNudge;
    this.onStatus = onStatus;
    this.parts = parts;
  }

  start(): void {
    if (this.active) return;
    this.active = true;
    this.onStatus("connecting");
    this.connect();
  }

  stop(): void {
    this.active = false;
    this.source?.close();
    this.source = null;
    this.polling?.abort();
    this.polling = null;
    this.cancelRetry?.();
    this.cancelRetry = null;
  }

  private connect(): void {
    const source = this.parts.connect(this.project);
    this.source = source;
    source.onopen = () => {
      this.failures = 0;
      this.connects = 0;
      this.onStatus("open");
      // What changed while nobody listened is not in the stream. That of one project begins with its revision.
      if (this.project === null) this.deliver({ p: "", rev: ANY_REV, runs: [] });
    };
    source.onerror = () => {
      source.close();
      if (this.source !== source) return;
      this.source = null;
      this.connects += 1;
      this.failed();
    };
    source.addEventListener("rev", (event) => this.heard(JSON.parse(event.data) as Nudge));
  }

  /** Revisions of another database say nothing about what is held of the one before. */
  private heard(nudge: Nudge): void {
    const replaced = nudge.epoch !== undefined && this.epoch !== null && nudge.epoch !== this.epoch;
    if (nudge.epoch !== undefined) this.epoch = nudge.epoch;
    if (replaced) {
      this.rev = nudge.rev;
      this.onNudge({ ...nudge, rev: ANY_REV });
    } else this.deliver(nudge);
  }

  private deliver(nudge: Nudge): void {
    if (nudge.rev < ANY_REV) this.rev = Math.max(this.rev, nudge.rev);
    this.onNudge(nudge);
  }

  private failed(): void {
    this.onStatus("lost");
    const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)] as number;
    this.failures += 1;
    this.retry(wait, () => {
      // Without a project there is nothing to long-poll, so only the stream can be tried again.
      if (this.connects >= CONNECTS_MAX && this.project !== null) void this.poll(this.project);
      else this.connect();
    });
  }

  private retry(ms: number, call: () => void): void {
    this.cancelRetry = this.parts.clock.after(ms, () => {
      this.cancelRetry = null;
      if (this.active) call();
    });
  }

  private async poll(project: string): Promise<void> {
    const abort = new AbortController();
    this.polling = abort;
    try {
      while (this.active) {
        const answer = await this.parts.poll(project, this.rev, abort.signal);
        if (!this.active || abort.signal.aborted) return;
        this.failures = 0;
        this.onStatus("open");
        if (answer.rev > this.rev) this.deliver({ p: project, runs: [], ...answer });
      }
    } catch {
      if (abort.signal.aborted || !this.active) return;
      this.polling = null;
      // When nothing answers at all the stream gets its chances again: it is the better way.
      this.connects = 0;
      this.failed();
    }
  }
}

/** The bits that a nudge has for a run: all of them when it names no runs at all. */
export function bitsFor(nudge: Nudge, run: string): number {
  if (nudge.runs.length === 0) return CHANGED_ALL;
  return nudge.runs.reduce((bits, [id, , changed]) => (id === run ? bits | changed : bits), 0);
}
