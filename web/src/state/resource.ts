/** One JSON document that follows the server: loaded, refetched on nudges, retried by itself after a failure. */
import { effect, type Signal, signal } from "@preact/signals";
import { ApiError } from "../data/api.ts";
import { visible } from "./live.ts";
import { Scheduler } from "./scheduler.ts";

export class Resource<T> {
  /** Null until the first answer. */
  readonly value: Signal<T | null> = signal(null);
  /** The last failure; null again after the next answer. The value stays meanwhile. */
  readonly error: Signal<ApiError | null> = signal(null);
  private readonly abort = new AbortController();
  private readonly scheduler: Scheduler;
  private readonly stopWatching: () => void;

  constructor(load: (signal: AbortSignal) => Promise<T>, intervalMs: number) {
    this.scheduler = new Scheduler(
      () => this.run(load),
      () => intervalMs,
    );
    this.stopWatching = effect(() => {
      if (visible.value) this.scheduler.resume();
      else this.scheduler.pause();
    });
    this.scheduler.nudge();
  }

  /** The server has something newer. */
  changed(): void {
    this.scheduler.nudge();
  }

  /** The user pressed retry. */
  retry(): void {
    this.scheduler.urge();
  }

  stop(): void {
    this.stopWatching();
    this.scheduler.stop();
    this.abort.abort();
  }

  private async run(load: (signal: AbortSignal) => Promise<T>): Promise<void> {
    try {
      this.value.value = await load(this.abort.signal);
      this.error.value = null;
    } catch (error) {
      if (this.abort.signal.aborted) return;
      this.error.value = error instanceof ApiError ? error : new ApiError(-1, "bug", String(error));
      throw error;
    }
  }
}
