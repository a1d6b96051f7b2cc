/** What somebody prefers in this browser, whatever the project: not part of a view, never in an address. */
import { computed, effect, type Signal, signal } from "@preact/signals";
import { browserStore } from "./drafts.ts";

/** A signal that is kept in the browser's store; what cannot be read is the default. */
function kept<T>(name: string, read: (text: string) => T | null, byDefault: T): Signal<T> {
  const key = `buoy.${name}`;
  let first = byDefault;
  try {
    const text = browserStore().getItem(key);
    if (text !== null) first = read(text) ?? byDefault;
  } catch {
    // A forbidden store forgets; the page works without it.
  }
  const value = signal(first);
  effect(() => {
    try {
      if (value.value === byDefault) browserStore().removeItem(key);
      else browserStore().setItem(key, String(value.value));
    } catch {
      // As above.
    }
  });
  return value;
}

export const LIST_WIDTH = { min: 240, max: 520 };

const flag = (text: string): boolean => text === "true";
const width = (text: string): number | null => {
  const value = Number(text);
  return value >= LIST_WIDTH.min && value <= LIST_WIDTH.max ? value : null;
};

export const listWidth = kept("list-width", width, 320);
const listOpen = kept("list-open", flag, true);
/** Shortcuts of a single key; they can be turned off for those whose voice or hands press keys by accident. */
export const singleKeys = kept("single-keys", flag, true);

const NARROW = matchMedia("(max-width: 899px)");
/** Too narrow for two columns: the runs list is a sheet. */
export const narrow = signal(NARROW.matches);
NARROW.addEventListener("change", () => {
  narrow.value = NARROW.matches;
});

/** The sheet is open for a moment only, so it is not kept. */
const sheetOpen = signal(false);
export const listShown = computed(() => (narrow.value ? sheetOpen.value : listOpen.value));

export function showList(open: boolean): void {
  if (narrow.peek()) sheetOpen.value = open;
  else listOpen.value = open;
}
