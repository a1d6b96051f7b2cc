/** The chart tabs of a run page: a toolbar, then one live chart per key in sections. */
import { computed, signal } from "@preact/signals";
import type { JSX } from "preact";
import type { Run } from "../data/types.ts";
import { marksOf } from "../plot/marks.ts";
import { announced } from "../state/announcements.ts";
import type { Panels } from "../state/panels.ts";
import { RANK_MODES, type RankMode, rankMode, showRanks } from "../state/ranks.ts";
import { setQuery } from "../state/router.ts";
import { logY, type RunPage, range, search, superseded, xKind, zoom } from "../state/run.ts";
import { matcher } from "../state/sections.ts";
import { t } from "../strings.ts";
import { byPrefix, bySubsystem, type Section } from "../ui/grid-layout.ts";
import { lazy } from "../ui/lazy.tsx";
import { Notice } from "../ui/notice.tsx";
import { PanelGrid } from "../ui/panel-grid.tsx";
import { ChartPanel } from "./chart-panel.tsx";
import styles from "./charts.module.css";

const Devices = lazy(async () => (await import("./devices.tsx")).Devices);

/** Sections that are folded, for as long as the page is open. */
const closed = signal<ReadonlySet<string>>(new Set());

function toggle(section: string): void {
  const next = new Set(closed.peek());
  if (!next.delete(section)) next.add(section);
  closed.value = next;
}

const matches = computed(() => matcher(search.value).test);

function Search(): JSX.Element {
  return (
    <label>
      <span class="vh">{t.run.search}</span>
      <input
        type="search"
        class={styles.search}
        placeholder={t.run.search}
        value={search.value}
        onInput={(event) => setQuery({ q: event.currentTarget.value || null }, true)}
      />
    </label>
  );
}

function XAxis(): JSX.Element {
  const names = ["step", "rel"] as const;
  return (
    <label class={styles.control}>
      {t.run.x}
      <select
        value={xKind.value}
        onChange={(event) => setQuery({ x: event.currentTarget.value === "rel" ? "rel" : null, range: null })}
      >
        {names.map((name) => (
          <option key={name} value={name}>
            {t.run.xNames[name]}
          </option>
        ))}
      </select>
    </label>
  );
}

function LogY(): JSX.Element {
  return (
    <label class={styles.control}>
      <input
        type="checkbox"
        checked={logY.value}
        onChange={(event) => setQuery({ logy: event.currentTarget.checked ? "1" : null }, true)}
      />
      {t.run.logY}
    </label>
  );
}

function Superseded(): JSX.Element {
  return (
    <label class={styles.control}>
      <input
        type="checkbox"
        checked={superseded.value}
        onChange={(event) => setQuery({ attempts: event.currentTarget.checked ? "all" : null }, true)}
      />
      {t.run.superseded}
    </label>
  );
}

function Ranks(): JSX.Element {
  return (
    <label class={styles.control}>
      {t.run.ranks}
      <select value={rankMode.value} onChange={(event) => showRanks(event.currentTarget.value as RankMode)}>
        {RANK_MODES.map((mode) => (
          <option key={mode} value={mode}>
            {t.run.rankModes[mode]}
          </option>
        ))}
      </select>
    </label>
  );
}

interface ToolbarProps {
  steps: boolean;
  /** How many ranks there are; with one there is nothing to choose. */
  ranks: number;
  /** How many attempts there were; with one there is nothing that could be superseded. */
  attempts: number;
  total: number;
  shown: number;
}

function Toolbar({ steps, ranks, attempts, total, shown }: ToolbarProps): JSX.Element {
  return (
    <div class={styles.toolbar}>
      <Search />
      {steps && <XAxis />}
      <LogY />
      {steps && ranks > 1 && <Ranks />}
      {steps && attempts > 1 && <Superseded />}
      {range.value !== null && (
        <button type="button" onClick={() => zoom(null)}>
          {t.run.reset}
        </button>
      )}
      <span class={styles.count}>{t.run.charts(String(shown), String(total))}</span>
    </div>
  );
}

interface ChartsProps {
  panels: Panels;
  keys: readonly string[];
  sections: (keys: readonly string[]) => Section[];
  /** True when x can be chosen; system metrics know no steps. */
  steps: boolean;
  ranks: number;
  run: Run | null;
}

function Charts({ panels, keys, sections, steps, ranks, run }: ChartsProps): JSX.Element {
  const shown = keys.filter(matches.value);
  const x = steps ? xKind.value : "rel";
  const marks = run === null ? [] : marksOf(run, x);
  return (
    <>
      <Toolbar
        steps={steps}
        ranks={ranks}
        attempts={run?.attempts.length ?? 1}
        total={keys.length}
        shown={shown.length}
      />
      {shown.length === 0 ? (
        <Notice title={t.run.noMatch(search.value)}>
          <button type="button" onClick={() => setQuery({ q: null })}>
            {t.run.clear}
          </button>
        </Notice>
      ) : (
        <PanelGrid
          sections={sections(shown)}
          closed={closed.value}
          onToggle={toggle}
          panel={(key) => <ChartPanel panels={panels} name={key} x={x} marks={marks} />}
        />
      )}
    </>
  );
}

export function ChartsTab({ page }: { page: RunPage }): JSX.Element | null {
  const keys = page.keys.value;
  if (keys === null) return null;
  if (keys.length === 0) return <Notice title={t.run.noKeys}>{t.run.noKeysHint}</Notice>;
  const sections = (shown: readonly string[]): Section[] => byPrefix(shown, t.run.plain);
  const parts = { panels: page.charts, keys, sections, ranks: page.ranks.value.length };
  return <Charts {...parts} steps run={page.run.value.value} />;
}

export function SystemTab({ page }: { page: RunPage }): JSX.Element | null {
  const keys = page.systemKeys.value;
  if (keys === null) return null;
  if (keys.length === 0) return <Notice title={t.run.noSystem}>{t.run.noSystemHint}</Notice>;
  const { devices } = page;
  const mapped = new Set(devices.families.value.flatMap((family) => family.keys));
  const single = keys.filter((key) => !mapped.has(key));
  const sections = (shown: readonly string[]): Section[] => bySubsystem(shown, t.run.subsystems);
  const run = page.run.value.value;
  return (
    <>
      {devices.families.value.length > 0 && <Devices board={devices} />}
      {devices.asLines.value && devices.many.value.length > 0 && (
        <p class={styles.switch}>
          <button type="button" onClick={() => setQuery({ devices: null })}>
            {t.devices.asMap}
          </button>
        </p>
      )}
      {single.length > 0 && (
        <Charts panels={page.system} keys={single} sections={sections} steps={false} ranks={1} run={run} />
      )}
      <p class="vh" role="status">
        {announced.value}
      </p>
    </>
  );
}
