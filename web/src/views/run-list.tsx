/** The runs of a workspace: which are shown, which are pinned, and the value of each under the crosshair. */
import type { JSX } from "preact";
import * as format from "../format.ts";
import { clausesOf, without } from "../state/clauses.ts";
import { compareHref } from "../state/compare-link.ts";
import { routeHref } from "../state/router.ts";
import type { ListRow } from "../state/run-list.ts";
import { isSeen, toggled, withEye } from "../state/view.ts";
import type { WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { DayMark } from "../ui/day-mark.tsx";
import { Mount } from "../ui/mount.tsx";
import { Swatch } from "../ui/swatch.tsx";
import { Tool } from "../ui/tool.tsx";
import { VirtualList } from "../ui/virtual-list.tsx";
import { step } from "./run-cursor.ts";
import { RunFilter } from "./run-filter.tsx";
import styles from "./run-list.module.css";

/** Runs that are compared where none were chosen. */
const COMPARED_MAX = 20;
const ROW_H = 28;
const COARSE_ROW_H = 44;
const rowHeight = (): number => (matchMedia("(pointer: coarse)").matches ? COARSE_ROW_H : ROW_H);

/** Opens or closes an eye; with Alt, this run is the only one. */
export function look(page: WorkspacePage, run: string, only: boolean): void {
  const { eyes } = page.view.peek();
  page.set({ eyes: only ? { rule: "only", runs: [run] } : withEye(eyes, run, !isSeen(eyes, run)) });
}

export function compareWith(page: WorkspacePage, run: string): void {
  page.set({ baseline: page.view.peek().baseline === run ? null : run });
}

/** The address at which the pinned runs are side by side, or those that are shown where fewer than two are pinned. */
export function comparison(page: WorkspacePage): string {
  const { pins, baseline } = page.view.value;
  const shown = page.seen.value.slice(0, COMPARED_MAX).map((row) => row.id);
  const chosen = pins.length > 1 ? pins : shown;
  const runs = baseline === null || chosen.includes(baseline) ? chosen : [baseline, ...chosen];
  return compareHref(page, runs, baseline);
}

export function pin(page: WorkspacePage, run: string): void {
  page.set({ pins: toggled(page.view.peek().pins, run) });
}

function Row({ page, row, top }: { page: WorkspacePage; row: ListRow; top: number }): JSX.Element {
  const { eyes, pins, baseline } = page.view.value;
  const seen = isSeen(eyes, row.id);
  const pinned = pins.includes(row.id);
  const marks = [
    styles.row,
    seen ? "" : styles.unseen,
    page.cursor.value === row.id ? styles.cursor : "",
    pinned && pins.at(-1) === row.id ? styles.lastPin : "",
  ];
  return (
    <li
      class={marks.join(" ")}
      style={{ top: `${top}px` }}
      onPointerEnter={() => {
        if (seen) page.highlight.value = row.id;
      }}
      onPointerLeave={() => {
        page.highlight.value = null;
      }}
    >
      <Tool
        icon={seen ? "eye" : "closed"}
        label={t.workspace.show(row.name)}
        pressed={seen}
        onClick={(event) => look(page, row.id, event.altKey)}
      />
      <DayMark state={row.state} />
      <Swatch slot={page.slotOf(row.id)} base={page.view.value.baseline === row.id} />
      <a
        class={styles.name}
        href={routeHref({ page: "run", entity: page.entity, project: page.project, run: row.id })}
        title={row.name}
        data-run={row.id}
      >
        {row.name}
      </a>
      <Mount
        class={styles.value}
        start={(cell) => {
          cell.append(document.createElement("span"), document.createElement("span"));
          return page.crosshair.show(row.id, cell);
        }}
      />
      <span class={styles.tools}>
        <Tool
          icon="pin"
          label={t.workspace.pin(row.name)}
          pressed={pinned}
          class={pinned ? styles.on : ""}
          onClick={() => pin(page, row.id)}
        />
        <Tool
          icon="flag"
          label={t.workspace.baseline(row.name)}
          pressed={baseline === row.id}
          class={baseline === row.id ? styles.on : ""}
          onClick={() => compareWith(page, row.id)}
        />
      </span>
    </li>
  );
}

function Sort({ page }: { page: WorkspacePage }): JSX.Element {
  const { key, desc } = page.view.value.sort;
  const names: [string, string][] = Object.entries(t.workspace.sorts);
  const about = page.crosshair.key.value;
  const metric = key.startsWith("summary.") ? key.slice("summary.".length) : about;
  if (metric !== null) {
    names.push(
      [`summary.${metric}`, t.workspace.sortUp(metric)],
      [`-summary.${metric}`, t.workspace.sortDown(metric)],
    );
  }
  return (
    <select
      class={styles.sort}
      aria-label={t.workspace.sort}
      value={`${desc ? "-" : ""}${key}`}
      onChange={(event) => {
        const text = event.currentTarget.value;
        page.set({ sort: { key: text.replace(/^-/, ""), desc: text.startsWith("-") } });
      }}
    >
      {names.map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  );
}

function EyesBar({ page }: { page: WorkspacePage }): JSX.Element {
  const words = t.workspace;
  const { eyes } = page.view.value;
  const first = (): void => {
    const runs = page.rows.peek().slice(0, 10);
    page.set({ eyes: { rule: "only", runs: runs.map((row) => row.id) } });
  };
  return (
    <div class={styles.eyes}>
      <button
        type="button"
        title={words.allHint}
        onClick={() => page.set({ eyes: { rule: "allBut", runs: [] } })}
      >
        {words.all}
      </button>
      <button
        type="button"
        title={words.noneHint}
        onClick={() => page.set({ eyes: { rule: "only", runs: [] } })}
      >
        {words.none}
      </button>
      <button
        type="button"
        title={words.invertHint}
        onClick={() => page.set({ eyes: { ...eyes, rule: eyes.rule === "only" ? "allBut" : "only" } })}
      >
        {words.invert}
      </button>
      <button type="button" title={words.firstTenHint} onClick={first}>
        {words.firstTen}
      </button>
      <a class={styles.compare} href={comparison(page)} title={t.keyboard.compare}>
        {t.compare.title}
      </a>
    </div>
  );
}

function Rows({ page }: { page: WorkspacePage }): JSX.Element | null {
  const rows = page.rows.value;
  const { filter } = page.view.value;
  if (page.list.rows.value === null) return null;
  if (rows.length === 0) {
    return (
      <div class={styles.nothing}>
        <p>{t.workspace.noRun}</p>
        {clausesOf(filter).map((clause, i, all) => (
          <button
            key={`${i} ${clause}`}
            type="button"
            onClick={() => page.set({ filter: without(filter, i) })}
          >
            {all.length === 1 ? t.workspace.clearFilter : t.workspace.removeClause(clause)}
          </button>
        ))}
      </div>
    );
  }
  const cursor = page.cursor.value;
  const at = cursor === null ? -1 : rows.findIndex((row) => row.id === cursor);
  const height = rowHeight();
  return (
    <VirtualList
      label={t.workspace.runs}
      count={rows.length}
      rowHeight={height}
      at={at < 0 ? null : at}
      onNeed={(needed) => page.list.need(needed)}
      row={(i, top) => {
        const row = rows[i];
        return row === undefined ? null : <Row key={row.id} page={page} row={row} top={top} />;
      }}
    />
  );
}

export function RunList({ page }: { page: WorkspacePage }): JSX.Element {
  const error = page.list.error.value;
  const about = page.crosshair.key.value;
  return (
    <div class={styles.column}>
      <div class={styles.head}>
        <RunFilter
          host={{
            help: page.filterHelp,
            line: page.view.value.filter,
            error: page.list.error.value,
            write: (filter) => page.set({ filter }, "filter"),
            leave: () => {
              page.cursor.value = null;
              step(page, 1);
            },
          }}
        />
        <p class={styles.counts} title={t.workspace.eyeHint}>
          {page.list.rows.value !== null &&
            t.workspace.count(format.count(page.seenTotal.value), format.count(page.list.total.value))}
          <Sort page={page} />
        </p>
        <EyesBar page={page} />
        {about !== null && (
          <p class={styles.about} title={t.workspace.value(about)}>
            {about}
          </p>
        )}
      </div>
      {error !== null && error.status !== 0 && error.place === null && (
        <p class={styles.error}>
          {t.workspace.listFailed(error.message)}{" "}
          <button type="button" onClick={() => page.list.retry()}>
            {t.errors.retry}
          </button>
        </p>
      )}
      <Rows page={page} />
    </div>
  );
}
