/** Where sections and panels of a chart page lie, and which of them are in view: pure arithmetic. */

export interface Section {
  readonly name: string;
  readonly keys: readonly string[];
}

export interface Metrics {
  /** Width of the whole grid in CSS pixels. */
  readonly width: number;
  readonly panelMin: number;
  readonly panelHeight: number;
  readonly headHeight: number;
  readonly gutter: number;
}

export type Item =
  | { readonly kind: "head"; readonly section: Section; readonly top: number; readonly height: number }
  | {
      readonly kind: "panel";
      readonly key: string;
      readonly top: number;
      readonly left: number;
      readonly width: number;
      readonly height: number;
    };

export interface Layout {
  /** In order of top. */
  readonly items: readonly Item[];
  readonly height: number;
}

export function layoutGrid(sections: readonly Section[], closed: ReadonlySet<string>, m: Metrics): Layout {
  const columns = Math.max(1, Math.floor((m.width + m.gutter) / (m.panelMin + m.gutter)));
  const width = (m.width - (columns - 1) * m.gutter) / columns;
  const items: Item[] = [];
  let top = 0;
  for (const section of sections) {
    items.push({ kind: "head", section, top, height: m.headHeight });
    top += m.headHeight;
    if (closed.has(section.name)) continue;
    section.keys.forEach((key, i) => {
      const row = Math.floor(i / columns);
      items.push({
        kind: "panel",
        key,
        top: top + row * (m.panelHeight + m.gutter),
        left: (i % columns) * (width + m.gutter),
        width,
        height: m.panelHeight,
      });
    });
    top += Math.ceil(section.keys.length / columns) * (m.panelHeight + m.gutter);
  }
  return { items, height: top };
}

/** Items that touch [from, to]; the rest is not in the page at all. */
export function inView(layout: Layout, from: number, to: number): Item[] {
  return layout.items.filter((item) => item.top + item.height >= from && item.top <= to);
}

/** Sections by the first prefix before "/"; keys without one come first, under `plain`. */
export function byPrefix(keys: readonly string[], plain: string): Section[] {
  const groups = new Map<string, string[]>();
  for (const key of keys) {
    const slash = key.indexOf("/");
    const name = slash > 0 ? key.slice(0, slash) : plain;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [key]);
    else group.push(key);
  }
  return sorted(groups, (a, b) => (a === plain ? -1 : b === plain ? 1 : compare(a, b)));
}

const SYSTEM: readonly (readonly [RegExp, string])[] = [
  [/^(gpu|tpu|trn)\./, "accelerator"],
  [/^(cpu|memory|proc)([._]|$)/, "processor"],
  [/^disk\./, "disk"],
  [/^network\./, "network"],
];
const SYSTEM_ORDER = ["accelerator", "processor", "disk", "network", "other"];

/** Sections of system metrics, whose names are dotted paths below `system.`. */
export function bySubsystem(keys: readonly string[], names: Readonly<Record<string, string>>): Section[] {
  const groups = new Map<string, string[]>();
  for (const kind of SYSTEM_ORDER) groups.set(kind, []);
  for (const key of keys) {
    const plain = key.replace(/^system\./, "");
    const kind = SYSTEM.find(([pattern]) => pattern.test(plain))?.[1] ?? "other";
    groups.get(kind)?.push(key);
  }
  const full = new Map([...groups].filter(([, group]) => group.length > 0));
  const order = (a: string, b: string): number => SYSTEM_ORDER.indexOf(a) - SYSTEM_ORDER.indexOf(b);
  return sorted(full, order).map((section) => ({ ...section, name: names[section.name] ?? section.name }));
}

const COLLATOR = new Intl.Collator(undefined, { numeric: true });
const compare = (a: string, b: string): number => COLLATOR.compare(a, b);

function sorted(groups: Map<string, string[]>, order: (a: string, b: string) => number): Section[] {
  return [...groups.keys()]
    .sort(order)
    .map((name) => ({ name, keys: (groups.get(name) ?? []).sort(compare) }));
}
