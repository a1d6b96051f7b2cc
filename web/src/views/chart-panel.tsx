/** One panel: title, live value, chart, and what was reduced or left out. */
import { effect, type ReadonlySignal, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import type { XKind } from "../data/types.ts";
import * as format from "../format.ts";
import { Chart, type ChartOptions } from "../plot/chart.ts";
import { type ChartColours, readColours } from "../plot/colour.ts";
import { BANDS_MAX } from "../plot/draw/line.ts";
import type { Mark } from "../plot/marks.ts";
import type { Line, Plan } from "../plot/plan.ts";
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
function startChart(
  host: HTMLElement,
  panels: Panels,
  panel: Panel,
  x: XKind,
  marks: ReadonlySignal<readonly Mark[]>,
): () => void {
  const options = (): ChartOptions => ({
    x,
    scale: logY.value ? "log" : "linear",
    robust: false,
    colours: themeColours(),
    strokes: (plan) => rankStrokes(plan, themeColours().data[0] ?? "", themeColours().ink),
    nameOf: panels.options.nameOf === undefined ? null : (line) => lineName(panels, panel, line),
    marks: marks.value,
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

/** What the tooltip calls a line: by its machine, or by rank where there is more than one line. */
function lineName(panels: Panels, panel: Panel, line: Line): string {
  const several = (panel.plan?.lines.length ?? 0) > 1;
  return panels.options.nameOf?.(line) ?? (several ? t.chart.rank(line.rank) : "");
}

/** How many ranks a band stands for; 0 if there is none. */
function bandRanks(plan: Plan): number {
  return Math.max(0, ...plan.lines.map((line) => line.band?.ranks?.most ?? 0));
}

/** The newest value of the lowest rank, or the mean of all in a band, and how many ranks there are. */
function Live({ panel }: { panel: Panel }): JSX.Element {
  panel.revision.value;
  const lines = (panel.plan?.lines ?? []).filter((line) => line.attempt === 0);
  const last = lines[0]?.last;
  const ranks = panel.plan === null ? 0 : bandRanks(panel.plan) || lines.length;
  return (
    <>
      {ranks > 1 && <span class={styles.ranks}>{t.chart.ranks(ranks)}</span>}
      <span class={styles.value} title={last ? format.exact(last.y) : undefined}>
        {last ? format.number(last.y) : ""}
      </span>
    </>
  );
}

/** Everything that the picture does not show by itself, in words; what is missing comes first. */
export function notes(plan: Plan, hidden: number, x: XKind, remark: string | null = null): string[] {
  const said: string[] = [];
  if (plan.failed > 0) said.push(t.chart.partialTitle);
  if (remark !== null) said.push(remark);
  if (plan.nonFinite > 0) said.push(t.chart.nonFinite(format.count(plan.nonFinite), plan.nonFiniteExact));
  if (hidden > 0) said.push(t.chart.notOnLog(format.count(hidden)));
  const width = Math.max(0, ...plan.lines.map((line) => line.band?.width ?? 0));
  const wide = width > 0 && !(x === "step" && width <= 1);
  const size = !wide ? "" : x === "step" ? t.chart.steps(format.count(width)) : format.duration(width);
  const ranks = bandRanks(plan);
  if (ranks > 0) said.push(t.chart.band(ranks, size));
  else if (wide) said.push(plan.lines.length > BANDS_MAX ? t.chart.spikes(size) : t.chart.buckets(size));
  return said;
}

function Notes({ panels, panel, x }: { panels: Panels; panel: Panel; x: XKind }): JSX.Element | null {
  panel.revision.value;
  const { plan } = panel;
  if (panel.error.value !== null) return <p class={styles.error}>{panel.error.value}</p>;
  if (plan === null) return null;
  if (plan.lines.every((line) => line.x.length === 0 && line.nonFinite === 0)) {
    return <p class={styles.note}>{t.chart.noPoints}</p>;
  }
  const said = notes(plan, panel.hidden.value, x, panels.options.remark?.() ?? null);
  const text = said.join(" · ");
  return said.length === 0 ? null : (
    <p class={styles.note} title={text}>
      {text}
    </p>
  );
}

/** What the chart shows, for those who do not see it. */
function summary(panel: Panel, marks: readonly Mark[]): string {
  panel.revision.value;
  const { plan } = panel;
  if (plan === null || plan.lines.length === 0) return `${panel.key}: ${t.chart.noPoints}`;
  const lows = plan.lines.flatMap((line) => [...(line.band?.low ?? line.y)]);
  const highs = plan.lines.flatMap((line) => [...(line.band?.high ?? line.y)]);
  const last = plan.lines.find((line) => line.attempt === 0)?.last?.y ?? Number.NaN;
  const least = lows.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = highs.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const ranks = bandRanks(plan);
  const said = t.chart.summary(
    panel.key,
    ranks > 0 ? t.chart.bandOf(ranks) : t.chart.lines(plan.lines.length),
    format.number(least),
    format.number(most),
    format.number(last),
  );
  return said + t.chart.marks(marks.map((mark) => mark.text));
}

function Summary({ panel, marks }: { panel: Panel; marks: readonly Mark[] }): JSX.Element {
  return <figcaption class="vh">{summary(panel, marks)}</figcaption>;
}

function sameMarks(a: readonly Mark[], b: readonly Mark[]): boolean {
  return a.length === b.length && a.every((mark, i) => mark.x === b[i]?.x && mark.text === b[i]?.text);
}

interface PanelProps {
  panels: Panels;
  name: string;
  x: XKind;
  /** What is marked on the x axis. */
  marks: readonly Mark[];
}

/** `x` is the key of the mounted chart: another axis is another chart. */
export function ChartPanel({ panels, name, x, marks }: PanelProps): JSX.Element {
  const panel = panels.panel(name);
  const marked = useSignal(marks);
  if (!sameMarks(marked.peek(), marks)) marked.value = marks;
  return (
    <figure class={styles.panel}>
      <div class={styles.head}>
        <h3 class={styles.title} title={name}>
          {name}
        </h3>
        <Live panel={panel} />
      </div>
      <div class={styles.body}>
        <Mount key={x} class={styles.plot} start={(host) => startChart(host, panels, panel, x, marked)} />
        <Notes panels={panels} panel={panel} x={x} />
      </div>
      <Summary panel={panel} marks={marks} />
    </figure>
  );
}
