/** State of a project's runs page: the table's rows, column-major as they came, and which metrics it shows. */
import { signal } from "@preact/signals";
import { api } from "../data/api.ts";
import type { Json, MetricKey, RunColumns, RunState } from "../data/types.ts";
import { dataArrived, follow } from "./live.ts";
import { Resource } from "./resource.ts";

const FIXED = ["name", "state", "created_us", "started_us", "ended_us", "heartbeat_us", "host", "tags"];
/** Metrics that get a column; a later table lets the user choose. */
const METRICS_MAX = 5;
const PAGE_ROWS = 100;

export interface RunRow {
  readonly id: string;
  readonly name: string;
  readonly state: RunState;
  readonly createdUs: number | null;
  readonly startedUs: number | null;
  readonly endedUs: number | null;
  readonly host: string | null;
  readonly values: readonly (Json | undefined)[];
}

export interface RunsTable {
  readonly total: number;
  readonly metrics: readonly string[];
  readonly rows: readonly RunRow[];
}

/** Metrics of most runs first; among equals losses and accuracies, which people look for, then by name. */
export function chooseMetrics(keys: readonly MetricKey[]): string[] {
  const scalar = keys.filter((key) => key.kind === "scalar");
  const wanted = (key: string): number => (/(^|[/_.])(loss|acc|accuracy)$/.test(key) ? 0 : 1);
  const order = scalar.sort(
    (a, b) => b.runs - a.runs || wanted(a.key) - wanted(b.key) || a.key.localeCompare(b.key),
  );
  return order.slice(0, METRICS_MAX).map((key) => key.key);
}

/** Turns columns into the rows of a table. */
export function tableOf(answer: RunColumns, metrics: readonly string[]): RunsTable {
  const at = (column: string, i: number): Json | undefined => answer.columns[column]?.[i];
  const time = (column: string, i: number): number | null => {
    const value = at(column, i);
    return typeof value === "number" ? value : null;
  };
  const rows = answer.ids.map((id, i): RunRow => {
    const host = at("host", i);
    return {
      id,
      name: String(at("name", i) ?? id),
      state: (at("state", i) ?? "pending") as RunState,
      createdUs: time("created_us", i),
      startedUs: time("started_us", i),
      endedUs: time("ended_us", i),
      host: typeof host === "string" ? host : null,
      values: metrics.map((metric) => at(`summary.${metric}`, i)),
    };
  });
  return { total: answer.total, metrics, rows };
}

export class RunsPage {
  readonly page = "runs";
  readonly table: Resource<RunsTable>;
  readonly limit = signal(PAGE_ROWS);
  private metrics: readonly string[] = [];
  private keysRev = -1;
  private readonly unfollow: () => void;

  readonly entity: string;
  readonly project: string;

  constructor(entity: string, project: string) {
    this.entity = entity;
    this.project = project;
    this.unfollow = follow(this.id, (nudge) => {
      if (nudge.runs.length > 0) dataArrived(Date.now());
      this.table.changed();
    });
    this.table = new Resource((abort) => this.load(abort), 1000);
  }

  get id(): string {
    return `${this.entity}:${this.project}`;
  }

  more(): void {
    this.limit.value = Math.min(1000, this.limit.value + 2 * PAGE_ROWS);
    this.table.retry();
  }

  stop(): void {
    this.unfollow();
    this.table.stop();
  }

  private async load(abort: AbortSignal): Promise<RunsTable> {
    // The catalogue changes seldom: it is read once, and again while it has fewer metrics than the table has room.
    if (this.keysRev < 0 || this.metrics.length < METRICS_MAX) {
      const keys = await api.keys(this.id, { kind: "scalar" }, abort);
      this.keysRev = keys.rev;
      this.metrics = chooseMetrics(keys.keys);
    }
    const { metrics } = this;
    const columns = [...FIXED, ...metrics.map((metric) => `summary.${metric}`)];
    const query = { columns, sort: [{ key: "created_us", desc: true }], offset: 0, limit: this.limit.peek() };
    const answer = await api.runs(this.id, query, abort);
    const beats = answer.columns.heartbeat_us ?? [];
    const newest = Math.max(0, ...beats.map((us) => (typeof us === "number" ? us : 0)));
    if (newest > 0) dataArrived(newest / 1000);
    return tableOf(answer, metrics);
  }
}
