/**
 * How a project is looked at: one immutable value, and its text. The text is the query of the page's address, the
 * draft in this browser and the body of a saved view alike, so there is one codec and a link says all of it.
 *
 * Invariants: decode(encode(view)) is the same view; encode(decode(words)) keeps words that this version does not
 * know, behind those it does; what is as it is by default takes no word; no text makes decode fail.
 */
import type { GroupBand, Range, XKind } from "../data/types.ts";
import {
  type Owns,
  ownText,
  parseOwn,
  parseScale,
  parseSmooth,
  parseX,
  type Settings,
  scaleText,
  smoothText,
} from "./settings.ts";
import { joinList, parseRange, rangeText, splitList } from "./words.ts";

export interface Sort {
  readonly key: string;
  readonly desc: boolean;
}

/** Which runs have their eye open: all but some (new runs are seen at once), or only some. */
export interface Eyes {
  readonly rule: "allBut" | "only";
  readonly runs: readonly string[];
}

export interface View extends Settings {
  /** Panels and sections that differ. */
  readonly owns: Owns;
  /** Columns of runs; those with the same values are one line. */
  readonly group: readonly string[];
  readonly groupBand: GroupBand;
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

export const DEFAULT_VIEW: View = {
  x: "auto",
  logX: false,
  scale: "linear",
  robust: false,
  smooth: null,
  raw: true,
  owns: new Map(),
  group: [],
  groupBand: "std",
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

/** `name.value` pairs; a name may have dots itself. */
function pairsText(pairs: Iterable<readonly [string, string | number]>, mark: string): string {
  return joinList([...pairs].map(([name, value]) => `${name}${mark}${value}`));
}

function parsePairs(text: string, mark: string): [string, string][] {
  return splitList(text).flatMap((item): [string, string][] => {
    const at = item.lastIndexOf(mark);
    return at < 0 ? [] : [[item.slice(0, at), item.slice(at + 1)]];
  });
}

interface Codec {
  /** Null where the view has the default. */
  readonly write: (view: View) => string | null;
  readonly read: (text: string) => Partial<View>;
}

const flag = (name: "logX" | "robust" | "raw"): Codec => ({
  write: (view) => (view[name] === DEFAULT_VIEW[name] ? null : view[name] ? "1" : "0"),
  read: (text) => (text === "0" || text === "1" ? { [name]: text === "1" } : {}),
});

const words = (name: "search" | "filter" | "hiddenKeys"): Codec => ({
  write: (view) => view[name] || null,
  read: (text) => ({ [name]: text }),
});

/** A setting of the workspace, by its text. */
function setting<Name extends keyof Settings>(
  name: Name,
  text: (value: Settings[Name]) => string,
  parse: (text: string) => Settings[Name] | null | undefined,
): Codec {
  const byDefault = text(DEFAULT_VIEW[name]);
  return {
    write: (view) => (text(view[name]) === byDefault ? null : text(view[name])),
    read: (given) => {
      const value = parse(given);
      return value === undefined || (value === null && name !== "smooth") ? {} : { [name]: value };
    },
  };
}

const list = (name: "group" | "pins" | "pinnedKeys" | "sections" | "closed"): Codec => ({
  write: (view) => (view[name].length === 0 ? null : joinList(view[name])),
  read: (text) => ({ [name]: splitList(text) }),
});

const eyes = (rule: Eyes["rule"]): Codec => ({
  write: ({ eyes: { rule: now, runs } }) =>
    now !== rule || (rule === "allBut" && runs.length === 0) ? null : joinList(runs),
  read: (text) => ({ eyes: { rule, runs: splitList(text) } }),
});

export const BANDS: readonly GroupBand[] = ["std", "se", "minmax", "none"];

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
  ["x", setting("x", String, parseX)],
  ["logx", flag("logX")],
  ["logy", setting("scale", scaleText, parseScale)],
  ["robust", flag("robust")],
  ["smooth", setting("smooth", smoothText, parseSmooth)],
  ["raw", flag("raw")],
  ["group", list("group")],
  [
    "band",
    {
      write: ({ groupBand }) => (groupBand === "std" ? null : groupBand),
      read: (text) => {
        const groupBand = BANDS.find((band) => band === text);
        return groupBand === undefined ? {} : { groupBand };
      },
    },
  ],
  [
    "own",
    {
      write: ({ owns }) =>
        owns.size === 0 ? null : joinList([...owns].map(([owner, own]) => ownText(owner, own))),
      read: (text) => ({ owns: new Map(splitList(text).flatMap(parseOwn)) }),
    },
  ],
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
            const axis = parseX(x);
            return axis !== null && axis !== "auto" && window !== null ? [[axis, window]] : [];
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
