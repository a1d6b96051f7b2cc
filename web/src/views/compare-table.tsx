/** The table of a comparison: a row for each fact, config key and summary value, a column for each run. */
import type { JSX } from "preact";
import type { Json } from "../data/types.ts";
import { cell, leafText, show } from "../data/values.ts";
import type { Column, ComparePage } from "../state/compare.ts";
import { type Delta, deltaOf, type Goal } from "../state/deltas.ts";
import type { Branch, End } from "../state/outline.ts";
import { pathText } from "../state/outline.ts";
import { routeHref } from "../state/router.ts";
import { t } from "../strings.ts";
import { DayMark } from "../ui/day-mark.tsx";
import { Notice } from "../ui/notice.tsx";
import { RowWindow } from "../ui/row-window.tsx";
import { Swatch } from "../ui/swatch.tsx";
import { Tool } from "../ui/tool.tsx";
import styles from "./compare.module.css";

const words = t.compare;

/** Widths in CSS pixels: of the names, and of a run. */
const NAME_W = 240;
const RUN_W = 184;
/** Texts from this length on are compared word by word. */
const LONG = 48;

const rowHead = (depth: number): { paddingLeft: string } => ({ paddingLeft: `${depth * 16}px` });

function BranchRow({ page, row, index }: { page: ComparePage; row: Branch; index: number }): JSX.Element {
  const { differing, leaves } = row;
  return (
    <tr class={row.depth === 0 ? styles.group : styles.branch} aria-rowindex={index + 2}>
      <th scope="row" style={rowHead(row.depth)}>
        <button
          type="button"
          class={styles.fold}
          aria-expanded={row.open}
          onClick={() => page.toggle(row.id)}
        >
          {row.name}
        </button>
        <span class={styles.counts}>{words.counts(leaves, differing)}</span>
      </th>
      <td colSpan={Math.max(1, page.columns.value.length)} />
    </tr>
  );
}

/** Which way is better, beside the name. */
function GoalMark({ goal }: { goal: Goal }): JSX.Element | null {
  if (goal === 0) return null;
  const text = goal < 0 ? words.lowerIsBetter : words.higherIsBetter;
  return (
    <span class={styles.goal} title={text}>
      <span aria-hidden="true">{goal < 0 ? "↓" : "↑"}</span>
      <span class="vh">{text}</span>
    </span>
  );
}

function Difference({ delta }: { delta: Delta }): JSX.Element {
  const judged = delta.sense === "" ? null : words.senses[delta.sense];
  return (
    <span class={styles.delta} data-sense={delta.sense} title={judged ?? undefined}>
      {delta.text}
      {judged !== null && <span class="vh"> {judged}</span>}
    </span>
  );
}

function isLong(value: Json | undefined): boolean {
  return typeof value === "string" && (value.length >= LONG || value.includes("\n"));
}

interface ValueProps {
  page: ComparePage;
  row: End;
  column: Column;
  index: number;
}

function Value({ page, row, column, index }: ValueProps): JSX.Element {
  const value = row.values[index];
  const base = page.columns.value.findIndex(({ id }) => id === page.base.value);
  const isBase = base === index ? "" : undefined;
  if (value === undefined) {
    const known = column.run !== null;
    return (
      <td class={styles.missing} data-base={isBase}>
        {known ? words.missing : column.error === null ? "…" : words.unknown}
      </td>
    );
  }
  const before = base < 0 || base === index ? undefined : row.values[base];
  const goal = row.group === "summary" ? page.goal(row.path) : 0;
  // A fact is no quantity that could be better.
  const delta = row.group === "facts" ? null : deltaOf(value, before, goal);
  const changed = before !== undefined && leafText(value) !== leafText(before);
  const number = cell(value);
  const text = number === undefined ? leafText(value) : show(value, true).text;
  return (
    <td class={number === undefined ? "" : "num"} data-base={isBase}>
      <div class={styles.cell}>
        <span class={styles.value} title={leafText(value)}>
          {text}
          {number !== undefined && !Number.isFinite(number) && <span class={styles.odd}> ◆</span>}
        </span>
        {delta !== null && <Difference delta={delta} />}
        {changed && (isLong(value) || isLong(before)) && (
          <button
            type="button"
            class={styles.diff}
            onClick={() => {
              page.diff.value = { entry: row, column: index };
            }}
          >
            {words.diff}
            <span class="vh"> {words.diffOf(pathText(row.path), column.name)}</span>
          </button>
        )}
      </div>
    </td>
  );
}

function EndRow({ page, row, index }: { page: ComparePage; row: End; index: number }): JSX.Element {
  return (
    <tr class={row.differs ? styles.differs : ""} aria-rowindex={index + 2}>
      <th scope="row" style={rowHead(row.depth)} title={pathText(row.path)}>
        {row.name}
        {row.group === "summary" && <GoalMark goal={page.goal(row.path)} />}
      </th>
      {page.columns.value.map((column, i) => (
        <Value key={column.id} page={page} row={row} column={column} index={i} />
      ))}
    </tr>
  );
}

function RunHead({ page, column }: { page: ComparePage; column: Column }): JSX.Element {
  const { entity, project } = page;
  const isBase = page.base.value === column.id;
  const href = routeHref({ page: "run", entity, project, run: column.id });
  return (
    <th scope="col">
      <span class={styles.run}>
        {column.run === null ? <span class={styles.none} /> : <DayMark state={column.run.state} />}
        <a class={styles.runName} href={href} title={column.name}>
          {column.name}
        </a>
      </span>
      <span class={styles.run}>
        <Swatch slot={page.slots.value.get(column.id)} base={isBase} />
        <span class={styles.tools}>
          <Tool
            icon="flag"
            label={t.workspace.baseline(column.name)}
            pressed={isBase}
            class={isBase ? styles.on : ""}
            onClick={() => page.setBase(isBase ? null : column.id)}
          />
          <Tool icon="close" label={words.remove(column.name)} onClick={() => page.remove(column.id)} />
        </span>
      </span>
      {column.error !== null && <span class={styles.error}>{words.notThere(column.error.message)}</span>}
    </th>
  );
}

export function CompareTable({ page }: { page: ComparePage }): JSX.Element {
  const rows = page.rows.value;
  const columns = page.columns.value;
  const waiting = columns.every(({ run, error }) => run === null && error === null);
  return (
    <>
      <RowWindow
        rows={rows.length}
        label={words.table}
        table={styles.table}
        minWidth={NAME_W + RUN_W * columns.length}
        head={
          <>
            <colgroup>
              <col class={styles.names} />
              {columns.map(({ id }) => (
                <col key={id} />
              ))}
            </colgroup>
            <thead>
              <tr aria-rowindex={1}>
                <th scope="col">{words.key}</th>
                {columns.map((column) => (
                  <RunHead key={column.id} page={page} column={column} />
                ))}
              </tr>
            </thead>
          </>
        }
      >
        {(first, end) =>
          rows
            .slice(first, end)
            .map((row, i) =>
              row.kind === "branch" ? (
                <BranchRow key={row.id} page={page} row={row} index={first + i} />
              ) : (
                <EndRow key={row.id} page={page} row={row} index={first + i} />
              ),
            )
        }
      </RowWindow>
      {rows.length === 0 && !waiting && (
        <Notice title={page.search.value === "" ? words.noDifference : words.noMatch(page.search.value)} />
      )}
    </>
  );
}
