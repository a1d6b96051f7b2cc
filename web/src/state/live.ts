/** What the waterline says: whether data is arriving, and how old the newest is. */
import { computed, effect, signal } from "@preact/signals";
import type { Nudge } from "../data/types.ts";
import { Feed, type FeedStatus } from "./feed.ts";

export const visible = signal(document.visibilityState === "visible");
document.addEventListener("visibilitychange", () => {
  visible.value = document.visibilityState === "visible";
});

export const feedStatus = signal<FeedStatus>("connecting");
/** Page time (ms since 1970) of the newest data that this page knows of; null = none yet. */
export const lastData = signal<number | null>(null);
/** The page's one run has ended, so nothing more is to come, however fresh its data is. */
export const ended = signal(false);
/** Coarse page time in ms since 1970; ticks each second while ages of seconds are on the page. */
export const now = signal(Date.now());

/** Data younger than this counts as arriving. */
const LIVE_MS = 15_000;

export type Water = "connecting" | "live" | "idle" | "lost";

export const water = computed<Water>(() => {
  if (feedStatus.value === "lost") return "lost";
  if (!ended.value && lastData.value !== null && now.value - lastData.value < LIVE_MS) return "live";
  return feedStatus.value === "connecting" ? "connecting" : "idle";
});

/** Tells the waterline that data of this moment (ms since 1970) has arrived. */
export function dataArrived(at: number): void {
  now.value = Date.now();
  lastData.value = Math.max(lastData.peek() ?? 0, Math.min(at, now.peek()));
}

// One timer for all ages on the page; slow when nothing is live, none when nobody looks.
effect(() => {
  if (!visible.value) return;
  now.value = Date.now();
  const slow = water.value === "idle";
  const id = setInterval(
    () => {
      now.value = Date.now();
    },
    slow ? 20_000 : 1000,
  );
  return () => clearInterval(id);
});

/** Follows the changes of a project (null = of all) until the result is called; hidden tabs follow nothing. */
export function follow(project: string | null, onNudge: (nudge: Nudge) => void): () => void {
  feedStatus.value = "connecting";
  lastData.value = null;
  ended.value = false;
  const feed = new Feed(project, onNudge, (status) => {
    feedStatus.value = status;
  });
  const stopWatching = effect(() => {
    if (visible.value) feed.start();
    else feed.stop();
  });
  return () => {
    stopWatching();
    feed.stop();
  };
}
