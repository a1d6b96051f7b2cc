/** Connects the chart of a workspace panel to the page: options, strokes, zoom, keyboard. No components in here. */
import { effect } from "@preact/signals";
import type { Range } from "../data/types.ts";
import * as format from "../format.ts";
import { Chart, type ChartOptions } from "../plot/chart.ts";
import { zoomed } from "../plot/drags.ts";
import type { Plan } from "../plot/plan.ts";
import type { Stroke } from "../plot/stroke.ts";
import { announce } from "../state/announcements.ts";
import { chartDrawn, charted } from "../state/drawn.ts";
import type { Panel } from "../state/panels.ts";
import { panelOwner } from "../state/settings.ts";
import { COLOURS, DASHES } from "../state/slots.ts";
import type { WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { themeColours } from "./chart-panel.tsx";

/** How the lines of a plan look: by the slot of their run; the baseline and the highlighted run are in front. */
function strokesOf(page: WorkspacePage, plan: Plan): Stroke[] {
  const { data, ink } = themeColours();
  const { baseline, group } = page.view.value;
  const slots = group.length > 0 ? page.groupSlots.value : page.slots.value;
  const highlight = page.highlight.value === null ? null : page.lineOf(page.highlight.value);
  const base = baseline === null ? null : page.lineOf(baseline);
  return plan.lines.map(({ run }) => {
    const slot = slots.get(run);
    const front = run === highlight || run === base;
    if (run === base) return { colour: ink, dash: [8, 4], width: 2, front };
    const dash = DASHES[Math.floor((slot ?? 0) / COLOURS)] ?? [];
    const colour = slot === undefined ? ink : (data[slot % COLOURS] ?? ink);
    return { colour, dash, width: front ? 2 : null, front };
  });
}

function optionsOf(page: WorkspacePage, panel: Panel): ChartOptions {
  const { scale, logX, robust, raw } = page.settings(panel.key);
  const x = page.xOf(panel.key);
  return {
    x,
    ...{ scale, logX, robust, raw },
    colours: themeColours(),
    strokes: (plan) => strokesOf(page, plan),
    nameOf: (line) => page.name(line.run),
    always: ({ run }) => {
      const { baseline, pins } = page.view.peek();
      return run === baseline || pins.includes(run);
    },
    sync: `${page.id} ${x}`,
    onZoom: (range) => page.zoom(x, range),
    onZoomY: (range) => zoomY(page, panel.key, range),
    onHover: (at) => page.crosshair.point(panel.key, at),
    onDrawn: (plan, hidden, hiddenX) => {
      panel.hidden.value = hidden;
      panel.hiddenX.value = hiddenX;
      for (const { run, last } of plan.lines) if (last !== null) chartDrawn(run, panel.key, last.x);
    },
  };
}

function zoomY(page: WorkspacePage, key: string, range: Range | null): void {
  const has = page.view.peek().owns.get(panelOwner(key))?.yRange !== undefined;
  if (range !== null || has) page.setOwn(panelOwner(key), { yRange: range ?? undefined }, "zoom");
}

/** Puts a chart into `host` until the result is called. `charts` holds the chart while it is there. */
export function startLines(
  host: HTMLElement,
  page: WorkspacePage,
  panel: Panel,
  charts: Map<string, Chart>,
): () => void {
  let chart: Chart | null = null;
  let styled = "";
  let forget = (): void => undefined;
  const resize = new ResizeObserver(() => page.panels.resize(panel.key, host.clientWidth));
  resize.observe(host);
  const stops = [
    // Another scale or theme is another plot; other strokes are only painted.
    effect(() => {
      const wanted = optionsOf(page, panel);
      const { scale, logX, robust, raw, colours } = wanted;
      const style = `${scale} ${logX} ${robust} ${raw} ${colours.paper}`;
      if (chart === null) {
        chart = new Chart(host, wanted);
        charts.set(panel.key, chart);
        forget = charted(panel.key, chart);
      } else if (style !== styled) chart.restyle(wanted);
      styled = style;
    }),
    effect(() => {
      panel.revision.value;
      const range = page.view.value.zoom.get(page.xOf(panel.key)) ?? null;
      const { yRange = null } = page.settings(panel.key);
      if (panel.plan !== null) chart?.update(panel.plan, range, yRange);
    }),
    effect(() => {
      page.slots.value;
      page.groupSlots.value;
      page.highlight.value;
      page.view.value.baseline;
      chart?.repaint();
    }),
    byKeyboard(host, page, panel, () => chart),
    byWheel(host, page, panel, () => chart),
    () => resize.disconnect(),
  ];
  page.crosshair.offer(panel.key);
  page.panels.show(panel.key, host.clientWidth);
  return () => {
    for (const stop of stops) stop();
    forget();
    if (charts.get(panel.key) === chart) charts.delete(panel.key);
    chart?.destroy();
    page.panels.hide(panel.key);
  };
}

/** In full screen Ctrl and the wheel zoom; in the grid they are the panels' size. */
function byWheel(
  host: HTMLElement,
  page: WorkspacePage,
  panel: Panel,
  chart: () => Chart | null,
): () => void {
  const onWheel = (event: WheelEvent): void => {
    const now = chart();
    if (!event.ctrlKey || now === null || page.view.peek().full !== panel.key) return;
    event.preventDefault();
    const box = host.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    page.zoom(page.xOf(panel.key), zoomed(now.picture().view, event.deltaY > 0 ? 1.25 : 0.8, share));
  };
  host.addEventListener("wheel", onWheel, { passive: false });
  return () => host.removeEventListener("wheel", onWheel);
}

/** Arrows move the crosshair and say what it meets; +, − and 0 zoom. */
function byKeyboard(
  host: HTMLElement,
  page: WorkspacePage,
  panel: Panel,
  chart: () => Chart | null,
): () => void {
  const said = (x: number): void => {
    const lines = (panel.plan?.lines ?? []).slice(0, 8);
    const words = lines.flatMap((line) => {
      const i = line.x.indexOf(x);
      return i < 0 ? [] : [`${page.name(line.run)} ${format.number(line.y[i] as number)}`];
    });
    announce(`${format.position(x, page.xOf(panel.key))}: ${words.join(", ")}`);
  };
  const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
  const onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = steps[event.key];
    const now = chart();
    if (now === null) return;
    if (step !== undefined) {
      const x = now.step(step * (event.shiftKey ? 10 : 1));
      if (x !== null) said(x);
    } else if (event.key === "+" || event.key === "=" || event.key === "-") {
      page.zoom(page.xOf(panel.key), zoomed(now.picture().view, event.key === "-" ? 2 : 0.5));
    } else if (event.key === "0") page.resetZoom();
    else if (event.key === "Enter") page.openFull(page.view.peek().full === panel.key ? null : panel.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const onBlur = (): void => chart()?.leave();
  host.tabIndex = 0;
  host.setAttribute("role", "img");
  const stopLabel = effect(() => host.setAttribute("aria-label", summary(page, panel)));
  const onFocus = (): void => page.crosshair.point(panel.key, null);
  host.addEventListener("focus", onFocus);
  host.addEventListener("keydown", onKey);
  host.addEventListener("blur", onBlur);
  return () => {
    stopLabel();
    host.removeEventListener("focus", onFocus);
    host.removeEventListener("keydown", onKey);
    host.removeEventListener("blur", onBlur);
  };
}

/** What the chart shows, for those who do not see it. */
function summary(page: WorkspacePage, panel: Panel): string {
  panel.revision.value;
  const lines = panel.plan?.lines ?? [];
  const density = panel.plan?.density ?? null;
  let [low, high] = density?.yRange ?? [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const line of lines) {
    for (const y of line.band?.low ?? line.y) low = Math.min(low, y);
    for (const y of line.band?.high ?? line.y) high = Math.max(high, y);
  }
  if (low > high) return `${panel.key}: ${t.chart.noPoints}`;
  const runs = density?.series ?? new Set(lines.map((line) => line.run)).size;
  const [from, to] = [format.number(low), format.number(high)];
  return page.view.value.group.length > 0
    ? t.chart.groupsSummary(panel.key, runs, from, to)
    : t.chart.runsSummary(panel.key, runs, from, to);
}
