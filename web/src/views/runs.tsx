/** The table of a project's runs: which, in which order, grouped by what, with which columns; changed one or many at once. */
import type { JSX } from "preact";
import * as format from "../format.ts";
import { clausesOf, without } from "../state/clauses.ts";
import { fatal, type RunsPage } from "../state/runs.ts";
import { t } from "../strings.ts";
import { Mount } from "../ui/mount.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { Tool } from "../ui/tool.tsx";
import { BulkBar, BulkDialog, BulkToast } from "./bulk-bar.tsx";
import { ColumnPicker } from "./column-picker.tsx";
import { ProjectTabs } from "./project-tabs.tsx";
import { RunFilter } from "./run-filter.tsx";
import styles from "./runs.module.css";
import { RunsGrid } from "./runs-grid.tsx";
import { HeadMenu } from "./runs-head.tsx";
import { Shell } from "./shell.tsx";
import { groupTitles, stepRow, tableBindings } from "./table-keys.ts";
import { ViewShelf } from "./view-shelf.tsx";

const words = t.table;

function Count({ page }: { page: RunsPage }): JSX.Element | null {
  const total = page.rows.total.value;
  if (total === null) return null;
  const grouped = page.look.value.group.length > 0;
  return (
    <span class={styles.total}>
      {grouped ? words.groups(format.count(total)) : words.count(format.count(total))}
    </span>
  );
}

function Bar({ page }: { page: RunsPage }): JSX.Element {
  const { group } = page.look.value;
  const saving = page.saving.value !== null;
  return (
    <div class={styles.bar}>
      <div class={styles.filter}>
        <RunFilter
          host={{
            help: page.filterHelp,
            line: page.view.value.filter,
            error: page.rows.error.value,
            write: (filter) => page.set({ filter }, "filter"),
            leave: () => {
              page.cursor.value = null;
              stepRow(page, 1);
            },
          }}
        />
      </div>
      <Count page={page} />
      {page.orderOld.value && page.held.value && (
        <span class={styles.newer}>
          {words.newer}{" "}
          <button type="button" onClick={() => page.reorder()}>
            {words.update}
          </button>
        </span>
      )}
      <span class={styles.tools}>
        {group.length > 0 && (
          <button type="button" title={words.ungroup} onClick={() => page.setLook({ group: [] })}>
            {words.groupedBy(groupTitles(page))} <span aria-hidden="true">×</span>
          </button>
        )}
        <button
          type="button"
          onClick={() => {
            page.dialog.value = "columns";
          }}
        >
          {words.choose}
        </button>
        <button type="button" title={words.csvHint} onClick={() => void page.saveFile()}>
          {saving ? words.csvBusy : words.csv}
        </button>
        <Tool
          icon="undo"
          label={t.workspace.undo}
          disabled={!page.canUndo.value}
          onClick={() => page.undo()}
        />
        <Tool
          icon="redo"
          label={t.workspace.redo}
          disabled={!page.canRedo.value}
          onClick={() => page.redo()}
        />
      </span>
    </div>
  );
}

/** Nothing matches, or nothing is there. */
function Nothing({ page }: { page: RunsPage }): JSX.Element {
  const { filter } = page.view.value;
  if (filter.trim() === "") return <Notice title={t.runs.empty} />;
  return (
    <Notice title={words.noMatch}>
      <span class={styles.clauses}>
        {clausesOf(filter).map((clause, i, all) => (
          <button
            key={`${i} ${clause}`}
            type="button"
            onClick={() => page.set({ filter: without(filter, i) })}
          >
            {all.length === 1 ? t.workspace.clearFilter : t.workspace.removeClause(clause)}
          </button>
        ))}
      </span>
    </Notice>
  );
}

function Troubles({ page }: { page: RunsPage }): JSX.Element | null {
  const error = page.rows.error.value;
  const texts = [
    error !== null && error.status !== 0 && error.place === null ? words.failed(error.message) : null,
    page.saveError.value === null ? null : words.csvFailed(page.saveError.value),
  ].filter((text) => text !== null);
  if (texts.length === 0) return null;
  return (
    <div role="alert" class={styles.error}>
      {texts.map((text) => (
        <p key={text}>{text}</p>
      ))}
      <button
        type="button"
        onClick={() => {
          page.saveError.value = null;
          page.rows.reorder();
        }}
      >
        {t.errors.retry}
      </button>
    </div>
  );
}

function Dialogs({ page }: { page: RunsPage }): JSX.Element | null {
  const dialog = page.dialog.value;
  if (dialog === null) return null;
  return dialog === "columns" ? <ColumnPicker page={page} /> : <BulkDialog page={page} kind={dialog} />;
}

export function RunsView({ page }: { page: RunsPage }): JSX.Element {
  const error = fatal(page);
  return (
    <Shell crumbs={[{ text: page.project, to: null }]} wide>
      <div class={styles.page}>
        <div class={styles.tabs}>
          <ProjectTabs entity={page.entity} project={page.project} open="runs">
            {error === null && <ViewShelf page={page} />}
          </ProjectTabs>
        </div>
        <h1 class="vh">{t.runs.title}</h1>
        <Mount
          start={() => {
            page.bindings.value = tableBindings(page);
            return () => undefined;
          }}
        />
        {error !== null ? (
          <div class={styles.notice}>
            <Failure error={error} missing={t.workspace.noProject} retry={() => page.rows.reorder()} />
          </div>
        ) : (
          <>
            <Bar page={page} />
            <Troubles page={page} />
            {page.rows.count.value === 0 ? (
              <div class={styles.notice}>
                <Nothing page={page} />
              </div>
            ) : (
              <RunsGrid key={page.look.value.group.join(",")} page={page} />
            )}
            <BulkBar page={page} />
          </>
        )}
      </div>
      <HeadMenu page={page} />
      <BulkToast page={page} />
      <Dialogs page={page} />
    </Shell>
  );
}
