/**
 * Part of a long list that the server orders: the pages in view are loaded, others when they come into view. What is on
 * the way to rows that have left the view is called back. Pages stay as they are until their successors are there, so
 * nothing that was seen goes blank.
 *
 * The order is that of one revision (`at_rev`), whatever comes in; `reorder` asks for the present one.
 */
import { type Signal, signal } from "@preact/signals";
import { ApiError } from "../data/api.ts";
import { type Clock, wallClock } from "./scheduler.ts";

export const PAGE_ROWS = 50;
/** Pages that are kept though they are out of view. */
const PAGES_MAX = 60;
const ROWS_MAX = 1000;
/** Requests follow each other this fast at most while somebody scrolls. */
const PACE_MS = 60;
const BACK_OFF_MS = [1000, 2000, 5000, 15_000];

export interface Item {
  readonly id: string;
}

export interface Answer<T> {
  readonly rev: number;
  readonly total: number;
  readonly items: readonly T[];
}

export interface Question {
  readonly offset: number;
  readonly limit: number;
  readonly columns: readonly string[];
  readonly atRev: number | null;
}

export type Ask<T> = (question: Question, abort: AbortSignal) => Promise<Answer<T>>;

interface Page<T> {
  readonly items: readonly T[];
  readonly columns: ReadonlySet<string>;
  /** Its values may have changed. */
  stale: boolean;
}

interface Want {
  readonly first: number;
  readonly end: number;
  readonly columns: readonly string[];
}

interface Load {
  readonly first: number;
  readonly end: number;
  readonly columns: ReadonlySet<string>;
  readonly abort: AbortController;
}

export class RowWindow<T extends Item> {
  /** Null until the first answer. */
  readonly total: Signal<number | null> = signal(null);
  readonly error: Signal<ApiError | null> = signal(null);
  /** Grows with every answer. */
  readonly version = signal(0);
  /** The order's revision; null while it is being asked for. */
  rev: number | null = null;
  private readonly pages = new Map<number, Page<T>>();
  private wanted: Want = { first: 0, end: PAGE_ROWS, columns: [] };
  private load: Load | null = null;
  private renewing = true;
  private failures = 0;
  private notBefore = Number.NEGATIVE_INFINITY;
  private cancel: (() => void) | null = null;
  private stopped = false;

  private readonly ask: Ask<T>;
  private readonly merge: (old: T, news: T) => T;
  private readonly clock: Clock;

  /** `merge` joins columns that came later to those of the same row. */
  constructor(ask: Ask<T>, merge: (old: T, news: T) => T, clock: Clock = wallClock) {
    this.ask = ask;
    this.merge = merge;
    this.clock = clock;
  }

  at(row: number): T | undefined {
    return this.pages.get(Math.floor(row / PAGE_ROWS))?.items[row % PAGE_ROWS];
  }

  /** Rows from `first` up to, not including, `end` are in view or soon will be, with these columns. */
  need(first: number, end: number, columns: readonly string[]): void {
    this.wanted = { first, end, columns };
    this.plan();
  }

  /** Values may have changed. The order stays. */
  refresh(): void {
    for (const page of this.pages.values()) page.stale = true;
    this.failures = 0;
    this.plan();
  }

  /** Another question, or the present order. What is shown stays until the answer is there. */
  reorder(): void {
    this.renewing = true;
    this.failures = 0;
    this.notBefore = Number.NEGATIVE_INFINITY;
    this.load?.abort.abort();
    this.load = null;
    this.plan();
  }

  /** Rows that are loaded, in no order. */
  *loaded(): Iterable<readonly [number, T]> {
    for (const [number, page] of this.pages)
      for (const [i, item] of page.items.entries()) yield [number * PAGE_ROWS + i, item];
  }

  /** Puts what is known of a row in its place at once. */
  put(item: T): void {
    for (const [number, page] of this.pages) {
      const at = page.items.findIndex((old) => old.id === item.id);
      const old = page.items[at];
      if (old === undefined) continue;
      this.pages.set(number, { ...page, items: page.items.with(at, this.merge(old, item)) });
      this.version.value += 1;
    }
  }

  stop(): void {
    this.stopped = true;
    this.cancel?.();
    this.load?.abort.abort();
  }

  /** Pages in view that lack something: the first and the one behind the last. */
  private lacking(): Want | null {
    const { first, end, columns } = this.wanted;
    const total = this.renewing ? null : this.total.peek();
    const from = Math.max(0, Math.floor(first / PAGE_ROWS));
    const limit = total === null ? end : Math.min(end, total);
    const to = Math.max(from + 1, Math.ceil(limit / PAGE_ROWS));
    const lacks = (number: number): boolean => {
      const page = this.pages.get(number);
      if (this.renewing || page === undefined || page.stale) return true;
      return columns.some((column) => !page.columns.has(column));
    };
    let low = from;
    let high = to;
    while (low < high && !lacks(low)) low += 1;
    while (high > low && !lacks(high - 1)) high -= 1;
    return low === high ? null : { first: low, end: Math.min(high, low + ROWS_MAX / PAGE_ROWS), columns };
  }

  private plan(): void {
    if (this.stopped) return;
    const lacking = this.lacking();
    if (this.load !== null) {
      const { load } = this;
      const useful = lacking !== null && load.first < lacking.end && lacking.first < load.end;
      if (useful || lacking === null) return;
      load.abort.abort();
      this.load = null;
    }
    if (lacking === null) return;
    if (this.cancel !== null) return;
    const wait = this.notBefore - this.clock.now();
    if (wait > 0) {
      this.cancel = this.clock.after(wait, () => {
        this.cancel = null;
        this.plan();
      });
    } else void this.fetch(lacking);
  }

  private async fetch(lacking: Want): Promise<void> {
    const load = {
      first: lacking.first,
      end: lacking.end,
      columns: new Set(lacking.columns),
      abort: new AbortController(),
    };
    this.load = load;
    this.notBefore = this.clock.now() + PACE_MS;
    const renewing = this.renewing;
    try {
      const question = {
        offset: load.first * PAGE_ROWS,
        limit: (load.end - load.first) * PAGE_ROWS,
        columns: lacking.columns,
        atRev: renewing ? null : this.rev,
      };
      const answer = await this.ask(question, load.abort.signal);
      if (this.load !== load) return;
      this.load = null;
      this.take(load, answer, renewing);
    } catch (error) {
      if (this.load !== load) return;
      this.load = null;
      this.fail(error);
      return;
    }
    this.plan();
  }

  private take(load: Load, answer: Answer<T>, renewing: boolean): void {
    // Another server, or one that has had much else to do, may not have the order any more.
    if (renewing || answer.rev !== this.rev) this.pages.clear();
    this.renewing = false;
    this.failures = 0;
    this.rev = answer.rev;
    for (let number = load.first; number < load.end; number++) {
      const at = (number - load.first) * PAGE_ROWS;
      const items = answer.items.slice(at, at + PAGE_ROWS);
      this.keep(number, items, load.columns);
    }
    this.trim();
    this.error.value = null;
    this.total.value = answer.total;
    this.version.value += 1;
  }

  private keep(number: number, items: readonly T[], columns: ReadonlySet<string>): void {
    const old = this.pages.get(number);
    const same = old !== undefined && old.items.length === items.length;
    if (!same || !items.every((item, i) => old.items[i]?.id === item.id)) {
      this.pages.set(number, { items, columns, stale: false });
      return;
    }
    const merged = items.map((item, i) => this.merge(old.items[i] as T, item));
    // Columns that were not asked for again may be old by now.
    const known = old.stale ? columns : new Set([...old.columns, ...columns]);
    this.pages.set(number, { items: merged, columns: known, stale: false });
  }

  /** Forgets the pages farthest from the view. */
  private trim(): void {
    if (this.pages.size <= PAGES_MAX) return;
    const middle = (this.wanted.first + this.wanted.end) / 2 / PAGE_ROWS;
    const far = [...this.pages.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const number of far.slice(0, this.pages.size - PAGES_MAX)) this.pages.delete(number);
  }

  private fail(error: unknown): void {
    const known = error instanceof ApiError ? error : new ApiError(-1, "bug", String(error));
    this.error.value = known;
    // What the request has wrong it would have wrong again; a line that is being typed is asked for anew by itself.
    if (known.status >= 400 && known.status < 500) return;
    const wait = BACK_OFF_MS[Math.min(this.failures, BACK_OFF_MS.length - 1)] as number;
    this.failures += 1;
    this.notBefore = this.clock.now() + wait;
    this.plan();
  }
}
