/** What a run was given: its config as a tree, what is looked for in it, and what differs from another run's. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { configTerm } from "../data/filter-terms.ts";
import type { Json, Run } from "../data/types.ts";
import { cell, leafText } from "../data/values.ts";
import { compareHref } from "../state/compare-link.ts";
import { configRows, configSearch, onlyChanged, setBase, toggleBranch } from "../state/config-look.ts";
import { type Branch, type End, pathText } from "../state/outline.ts";
import { setQuery } from "../state/router.ts";
import type { RunPage } from "../state/run.ts";
import { RunSearch } from "../state/run-search.ts";
import { t } from "../strings.ts";
import { copyText } from "../ui/copy.tsx";
import { RowWindow } from "../ui/row-window.tsx";
import { Tool } from "../ui/tool.tsx";
import styles from "./config.module.css";
import { RunPicker } from "./run-picker.tsx";

const text = t.config;

/** The dialog in which the baseline is chosen, while it is open. */
const choosing = signal<RunSearch | null>(null);
/** The row whose term was copied last. */
const copied = signal<string | null>(null);

function close(): void {
  choosing.peek()?.stop();
  choosing.value = null;
}

function Baseline({ page }: { page: RunPage }): JSX.Element {
  const base = page.base.value;
  const name = page.baseRun.value?.name ?? base;
  return (
    <span class={styles.baseline}>
      <button
        type="button"
        onClick={() => {
          choosing.value = new RunSearch(`${page.entity}:${page.project}`);
        }}
      >
        {base === null ? text.choose : text.baseline(name ?? "")}
      </button>
      {base !== null && <Tool icon="close" label={text.noBaseline} onClick={() => setBase(null)} />}
      {base !== null && page.baseRun.value !== null && (
        <a href={compareHref(page, [base, page.id], base)}>{text.compare}</a>
      )}
      {choosing.value !== null && (
        <RunPicker
          title={text.chooseTitle}
          search={choosing.value}
          without={[page.id]}
          onPick={(run) => {
            close();
            setBase(run.id);
          }}
          onClose={close}
        />
      )}
    </span>
  );
}

function Toolbar({ page }: { page: RunPage }): JSX.Element {
  return (
    <div class={styles.toolbar}>
      <label>
        <span class="vh">{text.search}</span>
        <input
          id="search-config"
          type="search"
          class={styles.search}
          placeholder={text.search}
          value={configSearch.value}
          onInput={(event) => setQuery({ config: event.currentTarget.value || null }, true)}
        />
      </label>
      <Baseline page={page} />
      {page.baseRun.value !== null && (
        <label class={styles.control}>
          <input
            type="checkbox"
            checked={onlyChanged.value}
            onChange={(event) => setQuery({ changed: event.currentTarget.checked ? "1" : null }, true)}
          />
          {text.onlyChanged}
        </label>
      )}
    </div>
  );
}

const indent = (depth: number): { paddingLeft: string } => ({ paddingLeft: `${depth * 16}px` });

function BranchRow({ row, columns, index }: { row: Branch; columns: number; index: number }): JSX.Element {
  return (
    <tr aria-rowindex={index + 2}>
      <th scope="row" colSpan={columns} style={indent(row.depth)}>
        <button
          type="button"
          class={styles.fold}
          aria-expanded={row.open}
          onClick={() => toggleBranch(row.id)}
        >
          {row.name}
        </button>
      </th>
    </tr>
  );
}

function Value({ value, changed }: { value: Json | undefined; changed: boolean }): JSX.Element {
  if (value === undefined) return <td class={styles.missing}>{t.compare.missing}</td>;
  const shown = leafText(value);
  return (
    <td
      class={`${cell(value) === undefined ? styles.right : "num"} ${changed ? styles.changed : ""}`}
      title={shown}
    >
      {shown}
    </td>
  );
}

function EndRow({ row, beside, index }: { row: End; beside: boolean; index: number }): JSX.Element {
  const [value, base] = row.values;
  const changed = beside && row.differs;
  const term = value === undefined ? null : configTerm(row.path, value);
  return (
    <tr aria-rowindex={index + 2}>
      <th
        scope="row"
        style={indent(row.depth)}
        title={pathText(row.path)}
        class={changed ? styles.changed : ""}
      >
        {changed && (
          <>
            <span aria-hidden="true">≠ </span>
            <span class="vh">{text.differs} </span>
          </>
        )}
        {row.name}
      </th>
      <Value value={value} changed={changed} />
      {beside && <Value value={base} changed={false} />}
      <td class={styles.copy}>
        {term !== null && (
          <Tool
            icon="copy"
            label={copied.value === row.id ? t.projects.copied : text.copy(term)}
            onClick={() =>
              void copyText(term).then(() => {
                copied.value = row.id;
              })
            }
          />
        )}
      </td>
    </tr>
  );
}

export function Config({ run, page }: { run: Run; page: RunPage }): JSX.Element {
  const base = page.baseRun.value;
  const failed = page.baseError.value;
  if (Object.keys(run.config).length === 0 && base === null)
    return <p class="quiet">{t.overview.noConfig}</p>;
  const rows = configRows(run, base);
  const columns = base === null ? 3 : 4;
  return (
    <>
      <Toolbar page={page} />
      {failed !== null && (
        <p class={styles.failed}>{text.noDocument(page.base.value ?? "", failed.message)}</p>
      )}
      {rows.length === 0 ? (
        <p class="quiet">
          {configSearch.value === "" ? text.noDifference : text.noMatch(configSearch.value)}
        </p>
      ) : (
        <RowWindow
          rows={rows.length}
          label={t.overview.config}
          table={styles.table}
          head={
            <>
              <colgroup>
                <col class={styles.key} />
                <col />
                {base !== null && <col />}
                <col class={styles.copy} />
              </colgroup>
              <thead class={base === null ? "vh" : ""}>
                <tr aria-rowindex={1}>
                  <th scope="col" class={styles.key}>
                    {t.overview.key}
                  </th>
                  <th scope="col" class="num">
                    {base === null ? t.overview.value : run.name}
                  </th>
                  {base !== null && (
                    <th scope="col" class="num" title={base.name}>
                      {base.name}
                    </th>
                  )}
                  <th scope="col" class={styles.copy}>
                    <span class="vh">{text.copyHead}</span>
                  </th>
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
                  <BranchRow key={row.id} row={row} columns={columns} index={first + i} />
                ) : (
                  <EndRow key={row.id} row={row} beside={base !== null} index={first + i} />
                ),
              )
          }
        </RowWindow>
      )}
    </>
  );
}
