/** The runs before and after one, in the order of the list that the project's workspace shows in this browser. */
import { type Signal, signal } from "@preact/signals";
import { ApiError, api } from "../data/api.ts";
import { browserStore, readDraft } from "./drafts.ts";
import { decodeView, type View } from "./view.ts";

export interface Neighbour {
  readonly id: string;
  readonly name: string;
}

export interface Neighbours {
  readonly before: Neighbour | null;
  readonly after: Neighbour | null;
}

const PAGE_ROWS = 1000;
/** Runs further down than that have no neighbours: nobody walks there one by one. */
const PAGES_MAX = 10;

/** How the project was looked at last in this browser, or the view that everybody begins with. */
export function lastView(project: string): View {
  return decodeView(new URLSearchParams(readDraft(browserStore(), project) ?? ""));
}

/** Those beside a run in a list in which each run counts once, where it is first. */
export function beside(list: readonly Neighbour[], run: string): Neighbours | null {
  const seen = new Set<string>();
  const once = list.filter(({ id }) => !seen.has(id) && seen.add(id));
  const at = once.findIndex(({ id }) => id === run);
  return at < 0 ? null : { before: once[at - 1] ?? null, after: once[at + 1] ?? null };
}

export class Beside {
  /** Null until they are known, and for a run that is not in the list. */
  readonly found: Signal<Neighbours | null> = signal(null);
  private readonly abort = new AbortController();

  constructor(project: string, run: string) {
    void this.find(project, run);
  }

  stop(): void {
    this.abort.abort();
  }

  private async find(project: string, run: string): Promise<void> {
    const { filter, sort, pins } = lastView(project);
    const ask = async (
      filter: string | { id: { $in: string[] } } | null,
      offset: number,
    ): Promise<{ rows: Neighbour[]; total: number }> => {
      const query = { filter, columns: ["name"], sort: [sort], offset, limit: PAGE_ROWS };
      const { ids, columns, total } = await api.runs(project, query, this.abort.signal);
      return { rows: ids.map((id, i) => ({ id, name: String(columns.name?.[i] ?? id) })), total };
    };
    try {
      const pinned = pins.length === 0 ? [] : (await ask({ id: { $in: [...pins] } }, 0)).rows;
      const list = pins.flatMap((id) => pinned.find((row) => row.id === id) ?? []);
      for (let page = 0; page < PAGES_MAX; page++) {
        const { rows, total } = await ask(filter.trim() || null, page * PAGE_ROWS);
        list.push(...rows);
        const found = beside(list, run);
        const whole = (page + 1) * PAGE_ROWS >= total;
        // The last one of a page has its neighbour on the next.
        if (found !== null && (found.after !== null || whole)) this.found.value = found;
        if (this.found.peek() !== null || whole) return;
      }
    } catch (error) {
      // A list that cannot be had, as one whose filter is not finished, has no neighbours.
      if (!(error instanceof ApiError) && !this.abort.signal.aborted) throw error;
    }
  }
}
