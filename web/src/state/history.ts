/** Undo and redo over immutable values: pure. */

export interface History<T> {
  readonly past: readonly T[];
  readonly now: T;
  readonly future: readonly T[];
  /** What kind of change led to `now`; changes of one kind that follow each other are one step back. */
  readonly kind: string | null;
}

const STEPS_MAX = 100;

export function begin<T>(now: T): History<T> {
  return { past: [], now, future: [], kind: null };
}

/** A change by the user; with a `kind` (typing, zooming) it joins the one before of the same kind. */
export function change<T>(history: History<T>, next: T, kind: string | null = null): History<T> {
  if (next === history.now) return history;
  const joins = kind !== null && kind === history.kind;
  const past = joins ? history.past : [...history.past, history.now].slice(-STEPS_MAX);
  return { past, now: next, future: [], kind };
}

/** A change that follows from others by itself, so that there is nothing to undo. */
export function amend<T>(history: History<T>, next: T): History<T> {
  return next === history.now ? history : { ...history, now: next };
}

export function undo<T>(history: History<T>): History<T> {
  const before = history.past.at(-1);
  if (before === undefined) return history;
  return {
    past: history.past.slice(0, -1),
    now: before,
    future: [history.now, ...history.future],
    kind: null,
  };
}

export function redo<T>(history: History<T>): History<T> {
  const [after, ...future] = history.future;
  if (after === undefined) return history;
  return { past: [...history.past, history.now], now: after, future, kind: null };
}
