/** Looking for one run of a project, to do something with it: what is typed, and what the server finds. */
import { effect, type Signal, signal } from "@preact/signals";
import { ApiError, api } from "../data/api.ts";
import type { RunState } from "../data/types.ts";

const FOUND_MAX = 50;

export interface FoundRun {
  readonly id: string;
  readonly name: string;
  readonly state: RunState;
}

export class RunSearch {
  /** A line of the filter language; a plain word is one, and means names and ids. */
  readonly typed = signal("");
  /** Null until the first answer. */
  readonly found: Signal<readonly FoundRun[] | null> = signal(null);
  /** Why the line finds nothing. */
  readonly error = signal<string | null>(null);
  readonly chosen = signal(0);
  private abort = new AbortController();
  private readonly stopAsking: () => void;

  private readonly project: string;

  constructor(project: string) {
    this.project = project;
    this.stopAsking = effect(() => void this.ask(this.typed.value));
  }

  stop(): void {
    this.stopAsking();
    this.abort.abort();
  }

  private async ask(filter: string): Promise<void> {
    this.abort.abort();
    const mine = new AbortController();
    this.abort = mine;
    const sort = [{ key: "created_us", desc: true }];
    const query = {
      filter: filter.trim() || null,
      columns: ["name", "state"],
      sort,
      offset: 0,
      limit: FOUND_MAX,
    };
    try {
      const { ids, columns } = await api.runs(this.project, query, mine.signal);
      if (mine.signal.aborted) return;
      this.found.value = ids.map((id, i) => ({
        id,
        name: String(columns.name?.[i] ?? id),
        state: (columns.state?.[i] ?? "pending") as RunState,
      }));
      this.error.value = null;
      this.chosen.value = 0;
    } catch (error) {
      if (mine.signal.aborted) return;
      // A line that is being typed is often not yet a filter; what was found before stays.
      this.error.value = error instanceof ApiError ? error.message : String(error);
    }
  }
}
