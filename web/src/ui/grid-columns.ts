/** Columns of a grid beside each other: which of them are in view. Pure. */

/** A column where it stands. */
export interface Place {
  readonly id: string;
  /** From the left end of the pinned columns, or of the others. */
  readonly left: number;
  readonly width: number;
  /** Counted from 1 over all columns. */
  readonly index: number;
}

/** The places that are between two distances from the left: the first, and the one behind the last. */
export function inView(places: readonly Place[], from: number, to: number): readonly [number, number] {
  let first = places.findIndex(({ left, width }) => left + width > from);
  if (first < 0) first = places.length;
  let end = first;
  while (end < places.length && (places[end]?.left ?? to) < to) end += 1;
  return [first, end];
}
