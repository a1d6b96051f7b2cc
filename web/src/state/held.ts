/** What a panel holds of one run, or of all runs as one: series as they came, and whether they are still true. */
import type { Series } from "../data/frames.ts";
import type { XKind } from "../data/types.ts";

/** The name of what is held of all runs as one; no run is called that. */
export const TOGETHER = "";

const NO_REV = -1;

export class Held {
  /** Axis of `series`: those of another one cannot be drawn together with the new ones. */
  x: XKind;
  /** As they came, so that `unchanged` can stand for them. */
  series: readonly Series[] = [];
  /** Runs that were asked for as one. */
  runs: ReadonlySet<string> = new Set();
  private order: readonly string[] = [];
  /** Revision of `series`, and the one that they should have. */
  private rev = NO_REV;
  private wanted = NO_REV;
  /** They answer another question than the present one, or nobody knows of which revision they should be. */
  private forced = true;
  /** They are of another window or size, so that none may stand for a new one. */
  private strange = true;

  constructor(x: XKind) {
    this.x = x;
  }

  /** Whether the server has to be asked; `runs` are those that are wanted now. */
  isDue(runs: readonly string[]): boolean {
    if (this.forced || this.rev < this.wanted) return true;
    const { order } = this;
    // The same list is the common case, whatever its length.
    if (order.length === 0 || order === runs) return false;
    return order.length !== runs.length || order.some((run, i) => run !== runs[i]);
  }

  /** The revision that the client has, for `have`; null = none that counts. */
  have(runs: readonly string[]): number | null {
    const same = this.order.length === 0 || runs.every((run) => this.runs.has(run));
    return this.strange || !same || (this.runs.size > 0 && this.runs.size !== runs.length) ? null : this.rev;
  }

  /** The server is being asked now. */
  ask(together: readonly string[]): void {
    this.forced = false;
    this.order = together;
    this.runs = new Set(together);
  }

  accept(series: readonly Series[], x: XKind, rev: number, fits: boolean): void {
    this.series = series;
    this.x = x;
    this.rev = rev;
    this.strange = !fits;
  }

  /** There are newer points: of this revision, or (null) nobody knows of which. */
  outdate(rev: number | null): void {
    if (rev === null) this.forced = true;
    else this.wanted = Math.max(this.wanted, rev);
  }

  /** It answers another question now. */
  forget(): void {
    this.forced = true;
    this.strange = true;
  }
}
