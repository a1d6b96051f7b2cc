/**
 * Colour slots of runs: pure. A slot is one of eight colours with one of four dash patterns. A run gets the least
 * used slot among the runs that are drawn and keeps it while the view lasts. What follows from the drawn runs in
 * the order of their creation need not be stored, so that most links carry no colours at all.
 */

export const COLOURS = 8;
export const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
export const SLOTS = COLOURS * DASHES.length;
/** Stored slots at most; those of runs that are not drawn go first. */
const STORED_MAX = 300;

export type Slots = ReadonlyMap<string, number>;

/** The slot of each drawn run: the stored one, else the least used one by then, the lowest of those. */
export function slotsOf(stored: Slots, drawn: readonly string[]): Slots {
  const uses = new Array<number>(SLOTS).fill(0);
  for (const run of drawn) {
    const slot = stored.get(run);
    if (slot !== undefined) uses[slot % SLOTS] = (uses[slot % SLOTS] ?? 0) + 1;
  }
  const found = new Map<string, number>();
  for (const run of drawn) {
    let slot = stored.get(run);
    if (slot === undefined) {
      slot = uses.indexOf(Math.min(...uses));
      uses[slot] = (uses[slot] ?? 0) + 1;
    }
    found.set(run, slot % SLOTS);
  }
  return found;
}

/**
 * What has to be stored so that runs keep their slots when other ones are drawn. `before` are the slots until
 * now, `drawn` the runs from now on, in the order of their creation. Returns `stored` itself when nothing has to.
 */
export function keepSlots(stored: Slots, before: Slots, drawn: readonly string[]): Slots {
  const kept = new Map(stored);
  // Storing one slot can move others, so look again until all stay; each round stores at least one more.
  for (;;) {
    const now = slotsOf(kept, drawn);
    const moved = drawn.find((run) => before.has(run) && before.get(run) !== now.get(run));
    if (moved === undefined) break;
    for (const run of drawn) {
      const slot = before.get(run);
      if (slot !== undefined && slot !== now.get(run)) kept.set(run, slot);
    }
  }
  if (kept.size === stored.size) return stored;
  const spare = [...kept.keys()].filter((run) => !drawn.includes(run));
  for (const run of spare.slice(0, Math.max(0, kept.size - STORED_MAX))) kept.delete(run);
  return kept;
}
