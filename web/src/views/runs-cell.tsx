/** What stands in the cells of the table of runs: numbers in mono at the right, by the rules of `format`. */
import type { JSX } from "preact";
import { lasted } from "../data/lasted.ts";
import type { Json } from "../data/types.ts";
import { cell } from "../data/values.ts";
import * as format from "../format.ts";
import { now } from "../state/live.ts";
import { routeHref } from "../state/router.ts";
import type { RunsPage } from "../state/runs.ts";
import {
  type GroupCell,
  type GroupItem,
  nameOf,
  type RunItem,
  stateOf,
  tagsOf,
  timeOf,
} from "../state/table-rows.ts";
import { t } from "../strings.ts";
import { DayMark } from "../ui/day-mark.tsx";
import { Parts } from "../ui/parts.tsx";
import styles from "./runs-grid.module.css";

function Duration({ run }: { run: RunItem }): JSX.Element {
  const live = stateOf(run) === "running";
  const started = timeOf(run, "started_us") ?? timeOf(run, "created_us");
  const seconds = lasted(started, timeOf(run, "ended_us"), live, live ? now.value : 0);
  return <>{seconds === null ? "–" : format.duration(seconds)}</>;
}

function Tags({ value }: { value: Json | undefined }): JSX.Element {
  const tags = tagsOf(value);
  return (
    <span title={tags.join(", ")}>
      {tags.map((tag) => (
        <span key={tag} class={styles.tag}>
          {tag}
        </span>
      ))}
    </span>
  );
}

const TIMES = /^(created|started|ended|heartbeat)_us$/;
const PLAIN = new Set(["notes", "group", "job_type", "host", "id"]);

/** Whether a column has numbers, which are set at the right. */
export function isNumber(column: string, value: Json | undefined): boolean {
  if (column === "duration") return true;
  return !TIMES.test(column) && !PLAIN.has(column) && cell(value) !== undefined;
}

export function RunCell({
  page,
  run,
  column,
}: {
  page: RunsPage;
  run: RunItem;
  column: string;
}): JSX.Element {
  const value = run.cells.get(column);
  if (column === "state") return <DayMark state={stateOf(run)} />;
  if (column === "name") {
    const name = nameOf(run);
    const { entity, project } = page;
    return (
      <a href={routeHref({ page: "run", entity, project, run: run.id })} title={name} tabIndex={-1}>
        {name}
      </a>
    );
  }
  if (column === "tags") return <Tags value={value} />;
  if (column === "duration") return <Duration run={run} />;
  if (value === undefined || value === null) return <span class="quiet">{value === null ? "–" : ""}</span>;
  if (TIMES.test(column)) {
    const us = Number(value);
    // Runs of which nothing was heard yet have 0.
    return us > 0 ? <span title={format.moment(us)}>{format.shortMoment(us)}</span> : <>–</>;
  }
  const number = cell(value);
  if (number !== undefined) return <span title={format.exact(number)}>{format.number(number)}</span>;
  return <Parts value={value} />;
}

const HIGH = { maximumFractionDigits: 0 };

/** Mean and deviation over the group, and over how many of its runs. */
function Statistics({ column, said }: { column: string; said: GroupCell }): JSX.Element | null {
  if (said.n === 0 || column === "state" || TIMES.test(column)) return null;
  const text = (value: Json, digits?: number): string => {
    const number = cell(value) ?? Number.NaN;
    return column === "duration" ? format.duration(number) : format.number(number, digits);
  };
  const n = said.n.toLocaleString("en", HIGH).replaceAll(",", "\u2009");
  return (
    <span title={t.table.extremes(text(said.min), text(said.max), n)}>
      {t.table.stats(text(said.mean), text(said.std, 3))} <span class={styles.n}>{t.table.n(n)}</span>
    </span>
  );
}

/** The values that the runs of a group have in common, in words. */
export function groupName(keys: readonly string[], group: GroupItem): string {
  return keys.map((_, i) => valueText(group.values[i] ?? null)).join(", ");
}

function valueText(value: Json): string {
  if (value === null || value === "") return t.table.absent;
  const number = cell(value);
  if (number !== undefined) return format.exact(number);
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function GroupCellView(props: {
  page: RunsPage;
  group: GroupItem;
  row: number;
  open: boolean;
  column: string;
}): JSX.Element | null {
  const { page, group, row, open, column } = props;
  if (column !== "name") {
    const said = group.cells.get(column);
    return said === undefined ? null : <Statistics column={column} said={said} />;
  }
  const name = groupName(page.look.value.group, group);
  return (
    <button
      type="button"
      class={styles.group}
      aria-expanded={open}
      title={name}
      tabIndex={-1}
      onClick={(event) => {
        event.stopPropagation();
        page.rows.toggle(row);
      }}
    >
      <span class={styles.groupName}>{name}</span>
      <span class={styles.count}>{format.count(group.runs)}</span>
    </button>
  );
}
