/** One panel: title, live value, chart, and what was reduced or left out. */
import { effect } from "@preact/signals";
import type { JSX } from "preact";
import type { XKind } from "../data/types.ts";
import * as format from "../format.ts";
import { Chart, type ChartOptions } from "../plot/chart.ts";
import { type ChartColours, readColours } from "../plot/colour.ts";
import { BANDS_MAX } from "../plot/draw/line.ts";
import type { Plan } from "../plot/plan.ts";
import { rankStrokes } from "../plot/stroke.ts";
import { chartDrawn } from "../state/drawn.ts";
import type { Panel, Panels } from "../state/panels.ts";
import { logY, range, zoom } from "../state/run.ts";
import { shownTheme } from "../state/theme.ts";
import { t } from "../strings.ts";
import { Mount } from "../ui/mount.tsx";
import styles from "./chart-panel.module.css";

let colours: { theme: string; read: ChartColours } | null = null;

/** The tokens of the theme that is on; read once a theme, not once a chart. */
export function themeColours(): ChartColours {
  const theme = shownTheme.value;
  if (colours?.theme !== theme) colours = { theme, read: readColours(document.body) };
  return colours.read;
}

/** Connects a chart to its panel until the result is called. */
function startChart(host: HTMLElement, panels: Panels, panel: Panel, x: XKind): () => void {
  const options = (): ChartOptions => ({
    x,
    log: logY.value,
    robust: false,
    colours: themeColours(),
    strokes: (plan) => rankStrokes(plan, themeColours().data[0] ?? "", themeColours().ink),
    nameOf: null,
    always: () => false,
    onHover: () => undefined,
    sync: `${panels.scope} ${x}`,
    onZoom: zoom,
    onDrawn: (plan, hidden) => {
      panel.hidden.value = hidden;
      if (plan.lines.length > 0) chartDrawn(panels.scope, panel.key, newestX(plan));
    },
  });
  let chart: Chart | null = null;
  const stopStyle = effect(() => {
    const wanted = options();
    if (chart === null) chart = new Chart(host, wanted);
    else chart.restyle(wanted);
  });
  const stopData = effect(() => {
    panel.revision.value;
    const window = range.value;
    if (panel.plan !== null) chart?.update(panel.plan, window);
  });
  panels.show(panel.key, host.clientWidth);
  return () => {
    stopStyle();
    stopData();
    chart?.destroy();
    panels.hide(panel.key);
  };
}

function newestX(plan: Plan): number {
  return Math.max(...plan.lines.map((line) => line.last?.x ?? Number.NEGATIVE_INFINITY));
}

/** The newest value of the lowest rank, and how many ranks there are. */
function Live({ panel }: { panel: Panel }): JSX.Element {
  panel.revision.value;
  const lines = (panel.plan?.lines ?? []).filter((line) => line.attempt === 0);
  const last = lines[0]?.last;
  return (
    <>
      {lines.length > 1 && <span class={styles.ranks}>{t.chart.ranks(lines.length)}</span>}
      <span class={styles.value} title={last ? format.exact(last.y) : undefined}>
        {last ? format.number(last.y) : ""}
      </span>
    </>
  );
}

/** Everything that the picture does not show by itself, in words; what is missing comes first. */
export function notes(plan: Plan, hidden: number, x: XKind): string[] {
  const said: string[] = [];
  if (plan.failed > 0) said.push(t.chart.partialTitle);
  if (plan.nonFinite > 0) said.push(t.chart.nonFinite(format.count(plan.nonFinite), plan.nonFiniteExact));
  if (hidden > 0) said.push(t.chart.notOnLog(format.count(hidden)));
  const width = Math.max(0, ...plan.lines.map((line) => line.band?.width ?? 0));
  if (width > 0 && !(x === "step" && width <= 1)) {
    const words = x === "step" ? t.chart.steps(format.count(width)) : format.duration(width);
    said.push(plan.lines.length > BANDS_MAX ? t.chart.spikes(words) : t.chart.buckets(words));
  }
  return said;
}

function Notes({ panel, x }: { panel: Panel; x: XKind }): JSX.Element | null {
  panel.revision.value;
  const { plan } = panel;
  if (panel.error.value !== null) return <p class={styles.error}>{panel.error.value}</p>;
  if (plan === null) return null;
  if (plan.lines.every((line) => line.x.length === 0 && line.nonFinite === 0)) {
    return <p class={styles.note}>{t.chart.noPoints}</p>;
  }
  const said = notes(plan, panel.hidden.value, x);
  const text = said.join(" · ");
  return said.length === 0 ? null : (
    <p class={styles.note} title={text}>
      {text}
    </p>
  );
}

/** What the chart shows, for those who do not see it. */
function summary(panel: Panel): string {
  panel.revision.value;
  const { plan } = panel;
  if (plan === null || plan.lines.length === 0) return `${panel.key}: ${t.chart.noPoints}`;
  const lows = plan.lines.flatMap((line) => [...(line.band?.low ?? line.y)]);
  const highs = plan.lines.flatMap((line) => [...(line.band?.high ?? line.y)]);
  const last = plan.lines.find((line) => line.attempt === 0)?.last?.y ?? Number.NaN;
  const least = lows.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = highs.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return t.chart.summary(
    panel.key,
    plan.lines.length,
    format.number(least),
    format.number(most),
    format.number(last),
  );
}

function Summary({ panel }: { panel: Panel }): JSX.Element {
  return <figcaption class="vh">{summary(panel)}</figcaption>;
}

interface PanelProps {
  panels: Panels;
  name: string;
  x: XKind;
}

/** `x` is the key of the mounted chart: another axis is another chart. */
export function ChartPanel({ panels, name, x }: PanelProps): JSX.Element {
  const panel = panels.panel(name);
  return (
    <figure class={styles.panel}>
      <div class={styles.head}>
        <h3 class={styles.title} title={name}>
          {name}
        </h3>
        <Live panel={panel} />
      </div>
      <div class={styles.body}>
        <Mount key={x} class={styles.plot} start={(host) => startChart(host, panels, panel, x)} />
        <Notes panel={panel} x={x} />
      </div>
      <Summary panel={panel} />
    </figure>
  );
}
