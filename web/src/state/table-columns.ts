/** Which columns the table of runs can show, what they are called, and which it shows by itself: pure. */
import type { RunColumnsKnown } from "../data/types.ts";
import { t } from "../strings.ts";
import type { Place } from "../ui/grid-columns.ts";
import type { Look } from "./table-look.ts";

export type ColumnKind = "own" | "config" | "summary";

export interface ColumnInfo {
  /** As the API names it. */
  readonly id: string;
  readonly title: string;
  readonly kind: ColumnKind;
  /** How many runs have it, about; null = all. */
  readonly runs: number | null;
}

/** The run's own columns that can be shown, in the order of the list to choose from. */
export const OWN = [
  "state",
  "name",
  "tags",
  "notes",
  "group",
  "job_type",
  "created_us",
  "started_us",
  "ended_us",
  "heartbeat_us",
  "duration",
  "host",
  "attempts",
  "exit_code",
  "id",
] as const;
type Own = (typeof OWN)[number];

/** These two are at the left whatever else is shown: without them nobody knows what a row is. */
export const ALWAYS = ["state", "name"] as const;

const isOwn = (id: string): id is Own => OWN.some((own) => own === id);

export function kindOf(id: string): ColumnKind {
  return isOwn(id) ? "own" : id.startsWith("config.") ? "config" : "summary";
}

/** What people call a column. */
export function titleOf(id: string): string {
  if (isOwn(id)) return t.table.columns[id];
  const aggregate = /^(min|max|first|last|mean)\((.*)\)$/.exec(id);
  if (aggregate !== null) return `${aggregate[1]} ${aggregate[2]}`;
  return id.replace(/^(config|summary)\./, "");
}

/** The key of an aggregate of a metric, as the API reads it. */
export function aggregate(kind: "min" | "max", key: string): string {
  const quoted = key.startsWith('"') && key.endsWith('"') && key.length > 1;
  return `${kind}(${quoted ? `"${key.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"` : key})`;
}

/** All columns that there are: the run's own, then configs, then summaries. */
export function allColumns(known: RunColumnsKnown): ColumnInfo[] {
  const info = (id: string, runs: number | null): ColumnInfo => ({
    id,
    title: titleOf(id),
    kind: kindOf(id),
    runs,
  });
  return [
    ...OWN.map((id) => info(id, null)),
    ...known.config.map(({ key, runs }) => info(`config.${key}`, runs)),
    ...known.summary.map(({ key, series }) => info(`summary.${key}`, series)),
  ];
}

const CONFIGS_MAX = 8;
const SUMMARIES_MAX = 8;
/** What people look for among metrics of as many runs. */
const WANTED = /(^|[/_.])(loss|acc|accuracy|reward|score|ppl|perplexity)$/;

/** Columns that are shown until somebody chooses: configs in which runs differ, and the metrics of most runs. */
export function autoColumns(known: RunColumnsKnown): string[] {
  const configs = known.config
    .filter(({ differs }) => differs === true)
    .sort((a, b) => b.runs - a.runs || (a.key < b.key ? -1 : 1))
    .slice(0, CONFIGS_MAX);
  const wanted = (key: string): number => (WANTED.test(key) ? 0 : 1);
  const summaries = [...known.summary]
    .sort((a, b) => b.series - a.series || wanted(a.key) - wanted(b.key) || (a.key < b.key ? -1 : 1))
    .slice(0, SUMMARIES_MAX);
  return [
    "tags",
    "created_us",
    "duration",
    ...summaries.map(({ key }) => `summary.${key}`),
    ...configs.map(({ key }) => `config.${key}`),
    "host",
  ];
}

export interface Shown {
  /** At the left, whatever is scrolled. */
  readonly pinned: readonly string[];
  readonly rest: readonly string[];
}

/** The columns of a look, each once. */
export function shownColumns(look: Look, auto: readonly string[]): Shown {
  const pinned = [...new Set([...ALWAYS, ...look.pins])];
  const rest = [...new Set(look.columns ?? auto)].filter((id) => !pinned.includes(id));
  return { pinned, rest };
}

const WIDTHS: Partial<Record<string, number>> = {
  state: 28,
  name: 220,
  tags: 160,
  notes: 200,
  created_us: 112,
  started_us: 112,
  ended_us: 112,
  heartbeat_us: 112,
  duration: 96,
  host: 120,
  id: 120,
};

/** Mean, deviation and number of a group. */
const GROUP_WIDTH = 184;

/** Width of a column in CSS pixels: what somebody has set, else what its kind needs. */
export function widthOf(id: string, look: Look): number {
  const wide = look.group.length > 0 && (id === "duration" || kindOf(id) !== "own");
  return look.widths.get(id) ?? (wide ? GROUP_WIDTH : (WIDTHS[id] ?? (kindOf(id) === "own" ? 100 : 112)));
}

/** Columns that people may change in the table. */
export function isEditable(id: string): id is "name" | "tags" | "notes" | "group" {
  return id === "name" || id === "tags" || id === "notes" || id === "group";
}

export interface Layout {
  readonly pinned: readonly Place[];
  readonly rest: readonly Place[];
  readonly pinnedWidth: number;
  readonly restWidth: number;
}

/** The boxes that select runs. */
const SELECT_WIDTH = 32;
/** Where there is little room the pinned columns must leave some of it to the others. */
const NARROW_NAME = 140;

/** Where columns are; in a narrow window only what always is at the left stays there. */
export function layoutOf(shown: Shown, look: Look, select: string, narrow: boolean): Layout {
  const always: readonly string[] = ALWAYS;
  const pinned = narrow ? shown.pinned.filter((id) => always.includes(id)) : shown.pinned;
  const rest = narrow ? [...shown.pinned.filter((id) => !always.includes(id)), ...shown.rest] : shown.rest;
  const width = (id: string): number =>
    id === select
      ? SELECT_WIDTH
      : id === "name" && narrow
        ? Math.min(NARROW_NAME, widthOf(id, look))
        : widthOf(id, look);
  let index = 0;
  const placed = (ids: readonly string[]): { places: Place[]; end: number } => {
    let left = 0;
    const places = ids.map((id) => {
      const place = { id, left, width: width(id), index: ++index };
      left += place.width;
      return place;
    });
    return { places, end: left };
  };
  const atLeft = placed([select, ...pinned]);
  const others = placed(rest);
  return {
    pinned: atLeft.places,
    rest: others.places,
    pinnedWidth: atLeft.end,
    restWidth: others.end,
  };
}
