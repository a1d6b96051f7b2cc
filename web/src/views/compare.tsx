/** Runs side by side: a table of what they are, were given and gave, and their curves together. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import * as format from "../format.ts";
import { COLUMNS_MAX, type ComparePage } from "../state/compare.ts";
import { setQuery } from "../state/router.ts";
import { RunSearch } from "../state/run-search.ts";
import { t } from "../strings.ts";
import { Notice } from "../ui/notice.tsx";
import chartStyles from "./charts.module.css";
import styles from "./compare.module.css";
import { CompareCharts } from "./compare-charts.tsx";
import { CompareTable } from "./compare-table.tsx";
import { RunPicker } from "./run-picker.tsx";
import { Shell } from "./shell.tsx";
import { TextDiff } from "./text-diff.tsx";

const words = t.compare;

/** The dialog in which a run is added, while it is open. */
const adding = signal<RunSearch | null>(null);

function close(): void {
  adding.peek()?.stop();
  adding.value = null;
}

function Add({ page }: { page: ComparePage }): JSX.Element {
  return (
    <>
      <button
        type="button"
        onClick={() => {
          adding.value = new RunSearch(page.id);
        }}
      >
        {words.add}
      </button>
      {adding.value !== null && (
        <RunPicker
          title={words.addTitle}
          search={adding.value}
          without={page.runs.value}
          onPick={(run) => {
            close();
            page.add(run.id);
          }}
          onClose={close}
        />
      )}
    </>
  );
}

function Baseline({ page }: { page: ComparePage }): JSX.Element {
  return (
    <label class={chartStyles.control}>
      {words.baseline}
      <select
        class={styles.baseline}
        value={page.base.value ?? ""}
        onChange={(event) => page.setBase(event.currentTarget.value || null)}
      >
        <option value="">{words.noBaseline}</option>
        {page.columns.value.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Toolbar({ page }: { page: ComparePage }): JSX.Element {
  const shown = page.rows.value.filter((row) => row.kind === "end").length;
  return (
    <div class={chartStyles.toolbar}>
      <label>
        <span class="vh">{words.search}</span>
        <input
          id="search-compare"
          type="search"
          class={chartStyles.search}
          placeholder={words.search}
          value={page.search.value}
          onInput={(event) => setQuery({ q: event.currentTarget.value || null }, true)}
        />
      </label>
      <label class={chartStyles.control}>
        <input
          type="checkbox"
          checked={page.onlyDifferences.value}
          onChange={(event) => setQuery({ diff: event.currentTarget.checked ? "1" : null }, true)}
        />
        {words.onlyDifferences}
      </label>
      <Baseline page={page} />
      <Add page={page} />
      <span class={chartStyles.count}>{words.rows(format.count(shown), shown)}</span>
    </div>
  );
}

function Content({ page }: { page: ComparePage }): JSX.Element {
  const runs = page.runs.value;
  if (runs.length === 0)
    return (
      <Notice title={words.none}>
        <p>{words.noneHint}</p>
        <Add page={page} />
      </Notice>
    );
  const silent = page.documents.error.value !== null && page.documents.loaded.value.size === 0;
  return (
    <>
      <Toolbar page={page} />
      {silent && <p class={styles.note}>{t.errors.offline}</p>}
      {runs.length === 1 && <p class={styles.note}>{words.one}</p>}
      {runs.length > COLUMNS_MAX && (
        <p class={styles.note}>{words.some(format.count(COLUMNS_MAX), format.count(runs.length))}</p>
      )}
      <CompareTable page={page} />
      <CompareCharts page={page} />
    </>
  );
}

export function CompareView({ page }: { page: ComparePage }): JSX.Element {
  const { entity, project } = page;
  const crumbs = [
    { text: project, to: { page: "workspace", entity, project } as const },
    { text: words.title, to: null },
  ];
  return (
    <Shell crumbs={crumbs}>
      <h1 class={styles.title}>
        {words.title}
        {page.runs.value.length > 0 && (
          <span class={styles.total}>
            {words.runs(format.count(page.runs.value.length), page.runs.value.length)}
          </span>
        )}
      </h1>
      <Content page={page} />
      {page.diff.value !== null && <TextDiff page={page} />}
    </Shell>
  );
}
