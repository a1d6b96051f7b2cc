/**
 * How a project is looked at: one immutable value, and its text. The text is the query of the page's address, the
 * draft in this browser and the body of a saved view alike, so there is one codec and a link says all of it.
 *
 * Invariants: decode(encode(view)) is the same view; encode(decode(words)) keeps words that this version does not
 * know, behind those it does; what is as it is by default takes no word; no text makes decode fail.
 */
import type { Range, XKind } from "../data/types.ts";

export interface Sort {
  readonly key: string;
  readonly desc: boolean;
}

/** Which runs have their eye open: all but some (new runs are seen at once), or only some. */
export interface Eyes {
  readonly rule: "allBut" | "only";
  readonly runs: readonly string[];
}

export interface View {
  readonly x: XKind;
  readonly logY: boolean;
  /** The y axis leaves out what is far from the rest; ticks at the edge say that there is something. */
  readonly robust: boolean;
  /** Finds panels: a regular expression, or plain text. */
  readonly search: string;
  /** Finds runs. */
  readonly filter: string;
  readonly sort: Sort;
  readonly eyes: Eyes;
  /** Runs at the top of the list, in this order. */
  readonly pins: readonly string[];
  readonly baseline: string | null;
  /** Colour slots that differ from what `slotsOf` gives by itself. */
  readonly slots: ReadonlyMap<string, number>;
  /** Keys in the section of pinned panels, in this order. */
  readonly pinnedKeys: readonly string[];
  /** Keys that match have no panel; empty hides none. */
  readonly hiddenKeys: string;
  /** Sections that were moved, in their order; the others follow by name. */
  readonly sections: readonly string[];
  readonly closed: readonly string[];
  /** Step of the panel size, an index of `PANEL_SIZES`. */
  readonly size: number;
  readonly zoom: ReadonlyMap<XKind, Range>;
  /** The key in full screen. */
  readonly full: string | null;
  /** The kept view that this one began as. */
  readonly saved: string | null;
  /** Words of a newer version. */
  readonly unknown: readonly Word[];
}

export type Word = readonly [name: string, value: string];

/** Panel widths at least, and heights of the plots, in CSS pixels. */
export const PANEL_SIZES = [
  { width: 240, height: 160 },
  { width: 320, height: 220 },
  { width: 420, height: 300 },
  { width: 640, height: 420 },
] as const;

export const X_KINDS: readonly XKind[] = ["step", "rel", "wall"];

export const DEFAULT_VIEW: View = {
  x: "step",
  logY: false,
  robust: false,
  search: "",
  filter: "",
  sort: { key: "created_us", desc: true },
  eyes: { rule: "allBut", runs: [] },
  pins: [],
  baseline: null,
  slots: new Map(),
  pinnedKeys: [],
  hiddenKeys: "",
  sections: [],
  closed: [],
  size: 1,
  zoom: new Map(),
  full: null,
  saved: null,
  unknown: [],
};

/** Items with commas between them; `~0` stands for a tilde and `~1` for a comma inside of an item. */
export function joinList(items: readonly string[]): string {
  return items.map((item) => item.replaceAll("~", "~0").replaceAll(",", "~1")).join(",");
}

export function splitList(text: string): string[] {
  const items = text.split(",").filter((item) => item !== "");
  return [...new Set(items.map((item) => item.replaceAll("~1", ",").replaceAll("~0", "~")))];
}

/** A window of x, as short as its width allows. */
export function rangeText([low, high]: Range): string {
  const digits = Math.min(15, Math.max(0, 3 - Math.floor(Math.log10(high - low))));
  return `${Number(low.toFixed(digits))}..${Number(high.toFixed(digits))}`;
}

/** Reads `lo..hi`; null for anything else. */
export function parseRange(text: string | null): Range | null {
  const [low, high, more] = (text ?? "")
    .split("..")
    .map((end) => (end.trim() === "" ? Number.NaN : Number(end)));
  if (low === undefined || high === undefined || more !== undefined) return null;
  return Number.isFinite(low) && Number.isFinite(high) && low < high ? [low, high] : null;
}

/** `name.value` pairs; a name may have dots itself. */
function pairsText(pairs: Iterable<readonly [string, string | number]>, mark: string): string {
  return joinList([...pairs].map(([name, value]) => `${name}${mark}${value}`));
}

function parsePairs(text: string, mark: string): [string, string][] {
  return splitList(text).flatMap((item): [string, string][] => {
    const at = mark === ":" ? item.indexOf(mark) : item.lastIndexOf(mark);
    return at < 0 ? [] : [[item.slice(0, at), item.slice(at + 1)]];
  });
}

const isX = (text: string): text is XKind => X_KINDS.some((kind) => kind === text);

interface Codec {
  /** Null where the view has the default. */
  readonly write: (view: View) => string | null;
  readonly read: (text: string) => Partial<View>;
}

const flag = (name: "logY" | "robust"): Codec => ({
  write: (view) => (view[name] ? "1" : null),
  read: (text) => ({ [name]: text === "1" }),
});

const words = (name: "search" | "filter" | "hiddenKeys"): Codec => ({
  write: (view) => view[name] || null,
  read: (text) => ({ [name]: text }),
});

const list = (name: "pins" | "pinnedKeys" | "sections" | "closed"): Codec => ({
  write: (view) => (view[name].length === 0 ? null : joinList(view[name])),
  read: (text) => ({ [name]: splitList(text) }),
});

const eyes = (rule: Eyes["rule"]): Codec => ({
  write: ({ eyes: { rule: now, runs } }) =>
    now !== rule || (rule === "allBut" && runs.length === 0) ? null : joinList(runs),
  read: (text) => ({ eyes: { rule, runs: splitList(text) } }),
});

/** In the order in which they stand in an address. */
const CODECS: readonly (readonly [string, Codec])[] = [
  ["q", words("search")],
  ["filter", words("filter")],
  [
    "sort",
    {
      write: ({ sort }) =>
        sort.key === DEFAULT_VIEW.sort.key && sort.desc ? null : `${sort.desc ? "-" : ""}${sort.key}`,
      read: (text) => {
        const desc = text.startsWith("-");
        const key = desc ? text.slice(1) : text;
        return key === "" ? {} : { sort: { key, desc } };
      },
    },
  ],
  [
    "x",
    {
      write: ({ x }) => (x === "step" ? null : x),
      read: (text) => (isX(text) ? { x: text } : {}),
    },
  ],
  ["logy", flag("logY")],
  ["robust", flag("robust")],
  ["off", eyes("allBut")],
  ["on", eyes("only")],
  ["pin", list("pins")],
  [
    "base",
    {
      write: (view) => view.baseline,
      read: (text) => ({ baseline: text || null }),
    },
  ],
  ["keys", list("pinnedKeys")],
  ["hide", words("hiddenKeys")],
  ["order", list("sections")],
  ["fold", list("closed")],
  [
    "size",
    {
      write: ({ size }) => (size === DEFAULT_VIEW.size ? null : String(size)),
      read: (text) => (PANEL_SIZES[Number(text)] === undefined ? {} : { size: Number(text) }),
    },
  ],
  [
    "zoom",
    {
      write: ({ zoom }) =>
        zoom.size === 0
          ? null
          : pairsText(
              [...zoom].map(([x, range]) => [x, rangeText(range)]),
              ":",
            ),
      read: (text) => ({
        zoom: new Map(
          parsePairs(text, ":").flatMap(([x, range]): [XKind, Range][] => {
            const window = parseRange(range);
            return isX(x) && window !== null ? [[x, window]] : [];
          }),
        ),
      }),
    },
  ],
  [
    "colour",
    {
      write: ({ slots }) => (slots.size === 0 ? null : pairsText(slots, ".")),
      read: (text) => ({
        slots: new Map(
          parsePairs(text, ".").flatMap(([run, slot]): [string, number][] =>
            /^\d{1,2}$/.test(slot) ? [[run, Number(slot)]] : [],
          ),
        ),
      }),
    },
  ],
  [
    "panel",
    {
      write: (view) => view.full,
      read: (text) => ({ full: text || null }),
    },
  ],
  [
    "view",
    {
      write: (view) => view.saved,
      read: (text) => ({ saved: text || null }),
    },
  ],
];

const BY_NAME = new Map(CODECS);

/** The words of a view, always in the same order. */
export function encodeView(view: View): Word[] {
  const known = CODECS.flatMap(([name, codec]): Word[] => {
    const text = codec.write(view);
    return text === null ? [] : [[name, text]];
  });
  return [...known, ...view.unknown];
}

/** Reads words in any order; what cannot be read is as by default. */
export function decodeView(given: Iterable<Word>): View {
  const unknown: Word[] = [];
  let view = DEFAULT_VIEW;
  for (const [name, text] of given) {
    const codec = BY_NAME.get(name);
    if (codec === undefined) unknown.push([name, text]);
    else view = { ...view, ...codec.read(text) };
  }
  return unknown.length === 0 ? view : { ...view, unknown };
}

/** True if some word is one of a view; an address without any stands for the draft. */
export function hasView(given: Iterable<Word>): boolean {
  return [...given].some(([name]) => BY_NAME.has(name));
}

/** Whether a run has its eye open. */
export function isSeen({ rule, runs }: Eyes, run: string): boolean {
  return runs.includes(run) === (rule === "only");
}

/** The same eyes but for one run. */
export function withEye(eyes: Eyes, run: string, open: boolean): Eyes {
  if (isSeen(eyes, run) === open) return eyes;
  const listed = open === (eyes.rule === "only");
  return { ...eyes, runs: listed ? [...eyes.runs, run] : eyes.runs.filter((id) => id !== run) };
}

/** Open eyes closed, closed ones open; also of runs that come later. */
export function inverted({ rule, runs }: Eyes): Eyes {
  return { rule: rule === "only" ? "allBut" : "only", runs };
}

/** The list with an item at its end, or without it. */
export function toggled(items: readonly string[], item: string): readonly string[] {
  return items.includes(item) ? items.filter((other) => other !== item) : [...items, item];
}
