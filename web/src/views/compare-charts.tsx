/** The curves of the runs of a comparison, together in one chart a key. */
import { effect, signal } from "@preact/signals";
import type { JSX } from "preact";
import type { XKind } from "../data/types.ts";
import * as format from "../format.ts";
import { Chart, type ChartOptions } from "../plot/chart.ts";
import type { Plan } from "../plot/plan.ts";
import type { Stroke } from "../plot/stroke.ts";
import type { ComparePage } from "../state/compare.ts";
import { chartDrawn } from "../state/drawn.ts";
import type { Panel } from "../state/panels.ts";
import { setQuery } from "../state/router.ts";
import { matcher } from "../state/sections.ts";
import { X_KINDS } from "../state/settings.ts";
import { COLOURS, DASHES } from "../state/slots.ts";
import { toggled } from "../state/view.ts";
import { t } from "../strings.ts";
import { byPrefix } from "../ui/grid-layout.ts";
import { Mount } from "../ui/mount.tsx";
import { PanelGrid } from "../ui/panel-grid.tsx";
import panelStyles from "./chart-panel.module.css";
import { notes, themeColours } from "./chart-panel.tsx";
import chartStyles from "./charts.module.css";
import styles from "./compare.module.css";

/** Sections that are folded, for as long as the page is open. */
const folded = signal<readonly string[]>([]);

/** A line looks as its run's swatch does; the baseline is in front. */
function strokesOf(page: ComparePage, plan: Plan): Stroke[] {
  const { data, ink } = themeColours();
  const base = page.base.value;
  return plan.lines.map(({ run }) => {
    const slot = page.slots.value.get(run) ?? 0;
    if (run === base) return { colour: ink, dash: [8, 4], width: 2, front: true };
    const dash = DASHES[Math.floor(slot / COLOURS)] ?? [];
    return { colour: data[slot % COLOURS] ?? ink, dash, width: null, front: false };
  });
}

function startChart(host: HTMLElement, page: ComparePage, panel: Panel, x: XKind): () => void {
  const options = (): ChartOptions => ({
    x,
    scale: page.logY.value ? "log" : "linear",
    robust: false,
    colours: themeColours(),
    strokes: (plan) => strokesOf(page, plan),
    nameOf: (line) => page.name(line.run),
    always: ({ run }) => run === page.base.peek(),
    sync: `${page.panels.scope} ${x}`,
    onZoom: (range) => page.zoom(range),
    onHover: () => undefined,
    onDrawn: (plan, hidden) => {
      panel.hidden.value = hidden;
      for (const { run, last } of plan.lines) if (last !== null) chartDrawn(run, panel.key, last.x);
    },
  });
  let chart: Chart | null = null;
  const stops = [
    effect(() => {
      const wanted = options();
      if (chart === null) chart = new Chart(host, wanted);
      else chart.restyle(wanted);
    }),
    effect(() => {
      panel.revision.value;
      const range = page.range.value;
      if (panel.plan !== null) chart?.update(panel.plan, range);
    }),
    effect(() => {
      page.base.value;
      page.slots.value;
      chart?.repaint();
    }),
  ];
  page.panels.show(panel.key, host.clientWidth);
  return () => {
    for (const stop of stops) stop();
    chart?.destroy();
    page.panels.hide(panel.key);
  };
}

/** What the chart shows, for those who do not see it. */
function summary(page: ComparePage, panel: Panel): string {
  panel.revision.value;
  const last = (panel.plan?.lines ?? []).flatMap(({ run, last: point, attempt }) =>
    point === null || attempt > 0 ? [] : [`${page.name(run)} ${format.number(point.y)}`],
  );
  return last.length === 0 ? `${panel.key}: ${t.chart.noPoints}` : `${panel.key}: ${last.join(", ")}`;
}

function Notes({ page, panel }: { page: ComparePage; panel: Panel }): JSX.Element | null {
  panel.revision.value;
  const { plan } = panel;
  if (panel.error.value !== null) return <p class={panelStyles.error}>{panel.error.value}</p>;
  if (plan === null) return null;
  const said = notes(plan, panel.hidden.value, page.x.value);
  const has = new Set(plan.lines.filter((line) => line.x.length + line.nonFinite > 0).map(({ run }) => run));
  const without = page.there.value.length - has.size;
  if (without > 0) said.unshift(t.compare.without(format.count(without), without));
  const text = said.join(" · ");
  return said.length === 0 ? null : (
    <p class={panelStyles.note} title={text}>
      {text}
    </p>
  );
}

function ComparePanel({ page, name }: { page: ComparePage; name: string }): JSX.Element {
  const panel = page.panels.panel(name);
  const x = page.x.value;
  return (
    <figure class={panelStyles.panel} data-panel={name}>
      <div class={panelStyles.head}>
        <h3 class={panelStyles.title} title={name}>
          {name}
        </h3>
      </div>
      <div class={panelStyles.body}>
        <Mount key={x} class={panelStyles.plot} start={(host) => startChart(host, page, panel, x)} />
        <Notes page={page} panel={panel} />
      </div>
      <figcaption class="vh">{summary(page, panel)}</figcaption>
    </figure>
  );
}

function Toolbar({ page }: { page: ComparePage }): JSX.Element {
  return (
    <div class={chartStyles.toolbar}>
      <label class={chartStyles.control}>
        {t.run.x}
        <select
          value={page.x.value}
          onChange={(event) => {
            const x = event.currentTarget.value;
            setQuery({ x: x === "step" ? null : x, range: null });
          }}
        >
          {X_KINDS.map((x) => (
            <option key={x} value={x}>
              {t.run.xNames[x]}
            </option>
          ))}
        </select>
      </label>
      <label class={chartStyles.control}>
        <input
          type="checkbox"
          checked={page.logY.value}
          onChange={(event) => setQuery({ logy: event.currentTarget.checked ? "1" : null }, true)}
        />
        {t.run.logY}
      </label>
      {page.range.value !== null && (
        <button type="button" onClick={() => page.zoom(null)}>
          {t.run.reset}
        </button>
      )}
    </div>
  );
}

export function CompareCharts({ page }: { page: ComparePage }): JSX.Element | null {
  const all = page.charts.value;
  if (all.length === 0) return null;
  const { test } = matcher(page.search.value);
  const keys = all.filter(test);
  return (
    <section class={styles.curves} aria-label={t.compare.curves}>
      <h2>{t.compare.curves}</h2>
      <Toolbar page={page} />
      {keys.length === 0 ? (
        <p class="quiet">{t.run.noMatch(page.search.value)}</p>
      ) : (
        <PanelGrid
          sections={byPrefix(keys, t.run.plain)}
          closed={new Set(folded.value)}
          onToggle={(name) => {
            folded.value = toggled(folded.peek(), name);
          }}
          panel={(key) => <ComparePanel key={key} page={page} name={key} />}
        />
      )}
    </section>
  );
}
