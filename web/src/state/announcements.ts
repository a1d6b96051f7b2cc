/** What is said to those who listen to the page: the newest words, once they have settled. */
import { signal } from "@preact/signals";

const SETTLE_MS = 400;

export const announced = signal("");
let timer: ReturnType<typeof setTimeout> | undefined;

/** Says it when nothing newer comes within a moment, so that a held key does not chatter. */
export function announce(text: string): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    announced.value = text;
  }, SETTLE_MS);
}
