/** Deeds on many runs: done part by part, told how they went, and taken back. */
import { type Signal, signal } from "@preact/signals";
import { api } from "../data/api.ts";
import type { BatchDeed, Json } from "../data/types.ts";

export interface BulkWish {
  readonly do: Exclude<BatchDeed, "undo">;
  readonly tags?: readonly string[];
  readonly group?: string;
}

export interface Outcome {
  readonly did: BatchDeed;
  readonly changed: number;
  readonly refused: number;
  /** Why the first of the refused was refused. */
  readonly why: string;
  /** Why it was not done at all, or not to its end. */
  readonly failure: string | null;
  /** Tokens that take it back, the last part first. */
  readonly undo: readonly Json[];
}

/** So many runs a request: the tokens that take it back stay far below what a server takes at once. */
const PART = 1000;

export class Bulk {
  readonly busy: Signal<{ done: number; of: number } | null> = signal(null);
  readonly outcome: Signal<Outcome | null> = signal(null);

  private readonly project: string;
  private readonly onDone: () => void;

  constructor(project: string, onDone: () => void) {
    this.project = project;
    this.onDone = onDone;
  }

  async act(wish: BulkWish, runs: readonly string[]): Promise<void> {
    const parts: (() => ReturnType<typeof api.batch>)[] = [];
    for (let at = 0; at < runs.length; at += PART)
      parts.push(() => api.batch(this.project, { ...wish, runs: runs.slice(at, at + PART) }));
    await this.all(wish.do, parts, runs.length);
  }

  /** Takes back what was done last, but for runs that somebody has changed since. */
  async undo(): Promise<void> {
    const tokens = this.outcome.peek()?.undo ?? [];
    const parts = tokens.map((undo) => () => api.batch(this.project, { do: "undo", undo }));
    if (parts.length > 0) await this.all("undo", parts, parts.length * PART);
  }

  dismiss(): void {
    this.outcome.value = null;
  }

  private async all(
    did: BatchDeed,
    parts: readonly (() => ReturnType<typeof api.batch>)[],
    of: number,
  ): Promise<void> {
    if (this.busy.peek() !== null) return;
    let changed = 0;
    let refused = 0;
    let why = "";
    let failure: string | null = null;
    const undo: Json[] = [];
    this.outcome.value = null;
    try {
      for (const [i, part] of parts.entries()) {
        this.busy.value = { done: Math.min(of, i * PART), of };
        const answer = await part();
        for (const result of answer.results) {
          if (result.status === "changed") changed += 1;
          if (result.status !== "refused") continue;
          refused += 1;
          why ||= result.detail ?? result.code ?? "";
        }
        if (answer.undo !== null) undo.unshift(answer.undo);
      }
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    this.busy.value = null;
    this.outcome.value = { did, changed, refused, why, failure, undo };
    this.onDone();
  }
}
