/**
 * Which panels a page shows, in which sections: pure. Sorting goes with the catalogue (when a key is new), searching
 * with each key stroke, so searching must not sort: it walks the sorted keys once.
 */
import { byPrefix, type Section } from "../ui/grid-layout.ts";
import type { View } from "./view.ts";

/** Longer patterns are taken for plain text. */
const PATTERN_MAX = 300;

export interface Matcher {
  readonly test: (text: string) => boolean;
  /** Parts of a text that match, as [from, to); for showing them. */
  readonly marks: (text: string) => readonly (readonly [number, number])[];
}

const ALL: Matcher = { test: () => true, marks: () => [] };

/** A regular expression without regard to case, or plain text when it is not a valid one. */
export function matcher(query: string): Matcher {
  if (query === "") return ALL;
  const pattern = expression(query);
  if (pattern !== null) return { test: (text) => pattern.test(text), marks: (text) => found(text, pattern) };
  const plain = query.toLowerCase();
  const at = (text: string): number => text.toLowerCase().indexOf(plain);
  return {
    test: (text) => at(text) >= 0,
    marks: (text) => (at(text) < 0 ? [] : [[at(text), at(text) + plain.length]]),
  };
}

function expression(query: string): RegExp | null {
  if (query.length > PATTERN_MAX) return null;
  try {
    return new RegExp(query, "i");
  } catch {
    return null;
  }
}

function found(text: string, pattern: RegExp): [number, number][] {
  const match = pattern.exec(text);
  return match === null || match[0] === "" ? [] : [[match.index, match.index + match[0].length]];
}

/** Sections as the view orders them; `names` are the headings of keys without a prefix and of pinned keys. */
export interface SectionNames {
  readonly plain: string;
  readonly pinned: string;
}

/** All keys in sections by their first prefix, the moved sections first, then by name. Done once a catalogue. */
export function sortedSections(keys: readonly string[], names: SectionNames): Section[] {
  return byPrefix(keys, names.plain);
}

export interface Shown {
  readonly sections: readonly Section[];
  /** Panels that are shown, and those of them in the pinned section only once. */
  readonly panels: number;
  /** Keys that the hidden-keys rule leaves out, whatever is searched for. */
  readonly hidden: number;
}

/** What the view leaves of the sorted sections: pinned keys on top, hidden ones out, the search's matches only. */
export function shownSections(
  sorted: readonly Section[],
  view: Pick<View, "search" | "hiddenKeys" | "pinnedKeys" | "sections">,
  names: SectionNames,
): Shown {
  const search = matcher(view.search);
  const rule = view.hiddenKeys === "" ? null : matcher(view.hiddenKeys);
  const pinned = new Set(view.pinnedKeys);
  const present = new Set<string>();
  let hidden = 0;
  const rest = ordered(sorted, view.sections).flatMap((section): Section[] => {
    const keys = section.keys.filter((key) => {
      // A pin is a wish of its own, so it is stronger than a rule.
      if (pinned.has(key)) {
        present.add(key);
        return false;
      }
      if (rule?.test(key)) {
        hidden += 1;
        return false;
      }
      return search.test(key);
    });
    return keys.length === 0 ? [] : [{ ...section, keys }];
  });
  const top = view.pinnedKeys.filter((key) => present.has(key) && search.test(key));
  const sections = top.length === 0 ? rest : [{ name: names.pinned, keys: top }, ...rest];
  return { sections, hidden, panels: sections.reduce((sum, section) => sum + section.keys.length, 0) };
}

function ordered(sorted: readonly Section[], order: readonly string[]): readonly Section[] {
  if (order.length === 0) return sorted;
  const place = new Map(order.map((name, i) => [name, i]));
  const at = (section: Section): number => place.get(section.name) ?? order.length;
  // Sorting is stable, so sections that were not moved stay in the order of their names.
  return [...sorted].sort((a, b) => at(a) - at(b));
}

/** The order with one section a place further up (-1) or down (1) among those that are there. */
export function moved(present: readonly string[], name: string, by: -1 | 1): readonly string[] {
  const order = [...present];
  const from = order.indexOf(name);
  const to = from + by;
  if (from < 0 || to < 0 || to >= order.length) return present;
  order.splice(from, 1);
  order.splice(to, 0, name);
  return order;
}
