/**
 * When to refetch after a nudge. The first nudge acts at once (that is the latency a person sees), later ones are
 * merged into one call per interval; calls never overlap; a failure backs off 1, 2, 5, 15 s; while paused (hidden
 * tab) nothing runs and one call makes up for all. The clock is passed in, so tests own time.
 */

export interface Clock {
  now(): number;
  /** Calls back after `ms`; the result cancels it. */
  after(ms: number, call: () => void): () => void;
}

export const wallClock: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    const id = setTimeout(call, ms);
    return () => clearTimeout(id);
  },
};

const BACK_OFF_MS = [1000, 2000, 5000, 15_000];

export class Scheduler {
  private wanted = false;
  private running = false;
  private paused = false;
  private stopped = false;
  private failures = 0;
  private notBefore = Number.NEGATIVE_INFINITY;
  private cancel: (() => void) | null = null;

  private readonly task: () => Promise<void>;
  private readonly intervalMs: () => number;
  private readonly clock: Clock;

  constructor(task: () => Promise<void>, intervalMs: () => number, clock: Clock = wallClock) {
    this.task = task;
    this.intervalMs = intervalMs;
    this.clock = clock;
  }

  /** Something has changed: run now if the interval allows, else as soon as it does. */
  nudge(): void {
    this.wanted = true;
    this.plan();
  }

  /** The user asked (scrolled, zoomed): run now, whatever the interval or the back-off says. */
  urge(): void {
    this.notBefore = Number.NEGATIVE_INFINITY;
    this.cancel?.();
    this.cancel = null;
    this.nudge();
  }

  pause(): void {
    this.paused = true;
    this.cancel?.();
    this.cancel = null;
  }

  resume(): void {
    this.paused = false;
    this.plan();
  }

  stop(): void {
    this.stopped = true;
    this.pause();
  }

  private plan(): void {
    if (!this.wanted || this.running || this.paused || this.stopped || this.cancel !== null) return;
    const wait = this.notBefore - this.clock.now();
    if (wait <= 0) {
      void this.run();
      return;
    }
    this.cancel = this.clock.after(wait, () => {
      this.cancel = null;
      void this.run();
    });
  }

  private async run(): Promise<void> {
    this.wanted = false;
    this.running = true;
    const started = this.clock.now();
    try {
      await this.task();
      this.failures = 0;
      this.notBefore = Math.max(this.notBefore, started + this.intervalMs());
    } catch {
      // The task has told its page what went wrong; here only the next time is decided.
      const wait = BACK_OFF_MS[Math.min(this.failures, BACK_OFF_MS.length - 1)] as number;
      this.failures += 1;
      this.wanted = true;
      this.notBefore = this.clock.now() + wait;
    } finally {
      this.running = false;
      this.plan();
    }
  }
}
