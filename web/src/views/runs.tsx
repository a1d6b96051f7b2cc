/** Runs of one project, the newest first. A later table sorts, filters and groups; this one is complete and live. */
import type { JSX } from "preact";
import { cell } from "../data/values.ts";
import * as format from "../format.ts";
import { now } from "../state/live.ts";
import { routeHref } from "../state/router.ts";
import type { RunRow, RunsPage, RunsTable } from "../state/runs.ts";
import { t } from "../strings.ts";
import { DayMark } from "../ui/day-mark.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { Parts } from "../ui/parts.tsx";
import { ProjectTabs } from "./project-tabs.tsx";
import styles from "./runs.module.css";
import { Shell } from "./shell.tsx";

/** Seconds from start to end, or to now while the run is live; null before it has started. */
export function lasted(
  startedUs: number | null,
  endedUs: number | null,
  live: boolean,
  nowMs: number,
): number | null {
  if (startedUs === null) return null;
  const end = endedUs ?? (live ? nowMs * 1000 : null);
  return end === null ? null : (end - startedUs) / 1e6;
}

function Duration({ row }: { row: RunRow }): JSX.Element {
  const live = row.state === "running";
  const seconds = lasted(row.startedUs ?? row.createdUs, row.endedUs, live, live ? now.value : 0);
  return <>{seconds === null ? "–" : format.duration(seconds)}</>;
}

function Value({ value }: { value: RunRow["values"][number] }): JSX.Element {
  const number = cell(value);
  if (number === undefined) {
    return <td class="num">{value === undefined || value === null ? "–" : <Parts value={value} />}</td>;
  }
  return (
    <td class="num" title={format.exact(number)}>
      {format.number(number)}
    </td>
  );
}

function Row({ page, row }: { page: RunsPage; row: RunRow }): JSX.Element {
  const href = routeHref({ page: "run", entity: page.entity, project: page.project, run: row.id });
  return (
    <tr>
      <td class={styles.state}>
        <DayMark state={row.state} />
      </td>
      <td class={styles.name}>
        <a href={href} title={row.name}>
          {row.name}
        </a>
      </td>
      <td title={format.moment(row.createdUs)}>{format.shortMoment(row.createdUs)}</td>
      <td class="num">
        <Duration row={row} />
      </td>
      {row.values.map((value, i) => (
        <Value key={i} value={value} />
      ))}
      <td class={styles.host}>{row.host ?? "–"}</td>
    </tr>
  );
}

function Table({ page, table }: { page: RunsPage; table: RunsTable }): JSX.Element {
  return (
    <>
      <div class={styles.scroll}>
        <table class={styles.table}>
          <thead>
            <tr>
              <th scope="col">
                <span class="vh">{t.runs.state}</span>
              </th>
              <th scope="col">{t.runs.name}</th>
              <th scope="col">{t.runs.created}</th>
              <th scope="col" class="num">
                {t.runs.duration}
              </th>
              {table.metrics.map((metric) => (
                <th key={metric} scope="col" class={styles.metric} title={metric}>
                  {metric}
                </th>
              ))}
              <th scope="col" class={styles.host}>
                {t.runs.host}
              </th>
            </tr>
          </thead>
          <tbody>
            {table.rows.map((row) => (
              <Row key={row.id} page={page} row={row} />
            ))}
          </tbody>
        </table>
      </div>
      {table.rows.length < table.total && (
        <p class={styles.partial}>
          {t.runs.shown(format.count(table.rows.length), format.count(table.total))}
          {page.limit.value < 1000 && (
            <button type="button" onClick={() => page.more()}>
              {t.runs.more}
            </button>
          )}
        </p>
      )}
    </>
  );
}

export function RunsView({ page }: { page: RunsPage }): JSX.Element {
  const table = page.table.value.value;
  const error = page.table.error.value;
  return (
    <Shell crumbs={[{ text: page.project, to: null }]}>
      <ProjectTabs entity={page.entity} project={page.project} open="runs" />
      <h1 class={styles.title}>
        {t.runs.title}
        {table !== null && <span class={styles.total}>{format.count(table.total)}</span>}
      </h1>
      {table === null && error !== null && (
        <Failure error={error} missing={t.runs.empty} retry={() => page.table.retry()} />
      )}
      {table !== null &&
        (table.total === 0 ? <Notice title={t.runs.empty} /> : <Table page={page} table={table} />)}
    </Shell>
  );
}
