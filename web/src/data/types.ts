/** Shapes of the JSON API, as far as these pages read it. Times are microseconds since 1970. */

export type RunState = "running" | "pending" | "finished" | "failed" | "crashed" | "killed" | "stalled";

/** JSON as the server writes it; `{"$float": "nan"}` and `{"$int": "123…"}` stand for what JSON cannot hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface Project {
  id: string;
  entity: string;
  name: string;
  rev: number;
  runs: number;
  live: number;
  created_us: number | null;
  last_activity_us: number | null;
}

export interface Projects {
  epoch: number;
  projects: Project[];
}

/** Answer of runs:query: one array per asked column, all as long as `ids`. */
export interface RunColumns {
  epoch: number;
  rev: number;
  total: number;
  ids: string[];
  columns: Record<string, Json[]>;
  groups?: RunGroups;
}

/** Of the groups of a page: values of the keys, how many runs, and what is known of the numbers of each column. */
export interface RunGroups {
  total: number;
  keys: Record<string, Json[]>;
  runs: number[];
  columns: Record<string, GroupColumn>;
}

/** Over the finite numbers of each group: how many, mean, population deviation, extremes; null without any. */
export interface GroupColumn {
  n: number[];
  mean: Json[];
  std: Json[];
  min: Json[];
  max: Json[];
}

/** What lists of runs can show beside the runs' own columns. */
export interface RunColumnsKnown {
  rev: number;
  config: { key: string; runs: number; differs: boolean | null }[];
  summary: { key: string; series: number }[];
}

export type BatchDeed = "tag" | "untag" | "group" | "archive" | "unarchive" | "delete" | "restore" | "undo";

export interface BatchAnswer {
  results: { run: string; status: "changed" | "unchanged" | "refused"; code?: string; detail?: string }[];
  /** Takes it back, given as it is; null when nothing has changed. */
  undo: Json;
}

export type Mark = "dead" | "lost" | "stopped" | "lagging";

export interface Writer {
  id: string;
  rank: number | null;
  local_rank: number | null;
  world_size: number | null;
  host: string | null;
  pid: number | null;
  state: RunState;
  exit_code: number | null;
  last_step: number | null;
  started_us: number | null;
  ended_us: number | null;
  records_dropped: number | null;
  attempt: number;
  /** Time of its newest row, by its own clock. */
  logged_us: number | null;
  /** When the server last heard of it, by the server's clock. */
  seen_us: number | null;
  /** What it has handed over on its machine and has not arrived. */
  backlog_bytes: number;
  /** Why its rank is in trouble, among the others of its attempt. */
  mark: Mark | null;
}

export interface Attempt {
  attempt: number;
  started_us: number | null;
  /** The lowest step that it has logged; null = none. */
  first_step: number | null;
  state: RunState;
}

export interface Gap {
  first_seq: number;
  records: number;
  text: string;
}

/** What happened to a run, told by its processes, by a daemon, or by the server. */
export interface Event {
  time_us: number;
  level: "info" | "warn" | "error";
  code: string;
  text: string;
  /** Where it happened; null = to the run as a whole. */
  host: string | null;
  rank: number | null;
}

/** A request to stop the present attempt; open until all of its processes have ended. */
export interface Stop {
  requested_us: number;
  via: string;
  by: string;
  open: boolean;
}

/** What the server has heard of a machine, by its own clock. */
export interface Machine {
  host: string;
  attempt: number;
  /** The rank that its system metrics have. */
  rank: number | null;
  seen_us: number | null;
  missing_us: number | null;
  /** Records in its log that have not arrived. */
  backlog_records: number;
}

export interface Run {
  id: string;
  entity: string;
  project: string;
  name: string;
  notes: string | null;
  tags: string[];
  group: string | null;
  job_type: string | null;
  state: RunState;
  exit_code: number | null;
  created_us: number;
  started_us: number | null;
  ended_us: number | null;
  heartbeat_us: number | null;
  rev: number;
  archived: boolean;
  /** Of what people change; goes back as If-Match. */
  edit_tag: string;
  config: { readonly [key: string]: Json };
  summary: { readonly [key: string]: Json };
  /** What define_metric() said of keys, or of all that begin with what is before a star. */
  metrics: { readonly name: string; readonly goal?: string }[];
  metadata: { readonly [key: string]: Json };
  /** The run whose steps up to `step` this one begins with. */
  fork: { run: string; step: number } | null;
  attempts: Attempt[];
  stop: Stop | null;
  machines: Machine[];
  writers: Writer[];
  gaps: Gap[];
  events: Event[];
}

export interface MetricKey {
  key: string;
  kind: "scalar" | "system" | "text";
  runs: number;
  ranks: number[];
  n: number;
  last_step: number | null;
  step_metric: string | null;
  goal: string | null;
}

export interface Keys {
  epoch: number;
  rev: number;
  keys: MetricKey[];
}

/** The values of another key, too. */
export type XKind = "step" | "rel" | "proc" | "wall" | `key:${string}`;

/** The key whose values are x; null for steps and times. */
export const keyOfX = (x: XKind): string | null => (x.startsWith("key:") ? x.slice(4) : null);

export type Range = readonly [number, number];

/** See docs/format.md, "What a panel can ask". */
export interface Smoothing {
  readonly kind: "twema" | "ema" | "gaussian" | "running";
  readonly s: number;
}

/** What the band around the mean of a group is. */
export type GroupBand = "std" | "se" | "minmax" | "none";

/** One panel of a series:query. */
export interface PanelQuery {
  id: number;
  keys: string[];
  runs: { ids: string[] };
  x: string | { key: string };
  exp: number | null;
  px: number;
  range: Range | null;
  cols: string[];
  have: Record<string, number>;
  system: boolean;
  attempts: "latest" | "all";
  /** How ranks become one series, or which of them there are; without it each rank is one. */
  ranks?: string | readonly number[];
  smooth?: Smoothing & { R?: number };
  group?: { by: readonly string[] };
  /** `auto`: a density beyond the lines that the request's budget has. */
  mode?: "auto";
  /** Runs that stay lines then. */
  top?: readonly string[];
}

/** Bits of a nudge: what of a run has changed. */
export const CHANGED = { metrics: 1, state: 2, values: 4, system: 32, events: 64 } as const;
export const CHANGED_ALL = 0xffff;

/** One SSE event, or one answer of the long poll. Without runs: whoever has this revision has missed nothing. */
export interface Nudge {
  p: string;
  rev: number;
  /** With the first of a stream. */
  epoch?: number;
  runs: [run: string, rev: number, bits: number][];
}
