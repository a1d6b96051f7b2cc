/**
 * How the table of runs is looked at, and its words in a view. They are words that a view keeps without knowing them, so
 * the workspace, its drafts and the views that are kept on the server carry them along.
 *
 * Invariants: decodeLook(encodeLook(look)) is the same look; what is as by default takes no word; no text fails.
 */
import type { Sort, View, Word } from "./view.ts";
import { joinList, splitList } from "./words.ts";

export interface Look {
  /** Columns in their order, without the pinned ones; null = as chosen by itself. */
  readonly columns: readonly string[] | null;
  /** Columns that stay at the left, after state and name, which always do. */
  readonly pins: readonly string[];
  /** Widths in CSS pixels that somebody has set. */
  readonly widths: ReadonlyMap<string, number>;
  /** The first decides; none = the newest first. */
  readonly sort: readonly Sort[];
  /** Runs with the same values of all of these are one row. */
  readonly group: readonly string[];
}

export const DEFAULT_LOOK: Look = { columns: null, pins: [], widths: new Map(), sort: [], group: [] };

export const WIDTH = { min: 40, max: 1000 };
/** Keys that may sort, and that may group: the server's limit. */
export const KEYS_MAX = 16;

const NAMES = ["tcols", "tpin", "twidth", "tsort", "tgroup"] as const;
type Name = (typeof NAMES)[number];

const isOurs = (name: string): name is Name => NAMES.some((each) => each === name);

const WRITE: Record<Name, (look: Look) => string | null> = {
  tcols: ({ columns }) => (columns === null ? null : joinList(columns)),
  tpin: ({ pins }) => (pins.length === 0 ? null : joinList(pins)),
  twidth: ({ widths }) =>
    widths.size === 0 ? null : joinList([...widths].map(([name, width]) => `${name}.${width}`)),
  tsort: ({ sort }) =>
    sort.length === 0 ? null : joinList(sort.map(({ key, desc }) => `${desc ? "-" : ""}${key}`)),
  tgroup: ({ group }) => (group.length === 0 ? null : joinList(group)),
};

const READ: Record<Name, (text: string) => Partial<Look>> = {
  tcols: (text) => ({ columns: splitList(text) }),
  tpin: (text) => ({ pins: splitList(text) }),
  twidth: (text) => ({
    widths: new Map(
      splitList(text).flatMap((item): [string, number][] => {
        const at = item.lastIndexOf(".");
        const width = Number(item.slice(at + 1));
        return at > 0 && width >= WIDTH.min && width <= WIDTH.max ? [[item.slice(0, at), width]] : [];
      }),
    ),
  }),
  tsort: (text) => ({
    sort: splitList(text)
      .map((item) => (item.startsWith("-") ? { key: item.slice(1), desc: true } : { key: item, desc: false }))
      .filter(({ key }) => key !== "")
      .slice(0, KEYS_MAX),
  }),
  tgroup: (text) => ({ group: splitList(text).slice(0, KEYS_MAX) }),
};

/** The look that a view carries. */
export function lookOf(view: View): Look {
  let look = DEFAULT_LOOK;
  for (const [name, text] of view.unknown) if (isOurs(name)) look = { ...look, ...READ[name](text) };
  return look;
}

/** What a view has to carry to show this look; other words stay. */
export function withLook(view: View, look: Look): Pick<View, "unknown"> {
  const ours = NAMES.flatMap((name): Word[] => {
    const text = WRITE[name](look);
    return text === null ? [] : [[name, text]];
  });
  return { unknown: [...view.unknown.filter(([name]) => !isOurs(name)), ...ours] };
}

/** True if an address says how the table looks. */
export function hasLook(given: readonly Word[]): boolean {
  return given.some(([name]) => isOurs(name));
}

/** The sort after a click on a header: up, down, none. With `further` it joins the keys that are there. */
export function sortedBy(
  sort: readonly Sort[],
  key: string,
  further: boolean,
  downFirst = false,
): readonly Sort[] {
  const now = sort.find((each) => each.key === key);
  const alone = !further && sort.length > 1;
  const next: Sort | null =
    now === undefined || alone
      ? { key, desc: downFirst }
      : now.desc === downFirst
        ? { key, desc: !downFirst }
        : null;
  if (!further) return next === null ? [] : [next];
  if (now === undefined) return next === null ? sort : [...sort, next].slice(-KEYS_MAX);
  return sort.flatMap((each) => (each.key !== key ? [each] : next === null ? [] : [next]));
}

/** A list with one item put before another one, or at the end. */
export function movedBefore(
  items: readonly string[],
  item: string,
  before: string | null,
): readonly string[] {
  if (item === before) return items;
  const rest = items.filter((other) => other !== item);
  const at = before === null ? rest.length : rest.indexOf(before);
  return at < 0 ? items : [...rest.slice(0, at), item, ...rest.slice(at)];
}
