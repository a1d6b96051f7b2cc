/** One panel of a workspace: a line for each run that is shown. */
import { effect } from "@preact/signals";
import type { JSX } from "preact";
import * as format from "../format.ts";
import { Chart, type ChartOptions } from "../plot/chart.ts";
import { csvOf, save, savePng, svgOf } from "../plot/export.ts";
import type { Line, Plan } from "../plot/plan.ts";
import type { Stroke } from "../plot/stroke.ts";
import { announce } from "../state/announcements.ts";
import { chartDrawn, charted } from "../state/drawn.ts";
import type { Panel } from "../state/panels.ts";
import { routeHref } from "../state/router.ts";
import { matcher } from "../state/sections.ts";
import { COLOURS, DASHES } from "../state/slots.ts";
import { toggled } from "../state/view.ts";
import { LINES_MAX, type WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { copyText } from "../ui/copy.tsx";
import { Menu } from "../ui/menu.tsx";
import { Mount } from "../ui/mount.tsx";
import { Tool } from "../ui/tool.tsx";
import panelStyles from "./chart-panel.module.css";
import { notes, themeColours } from "./chart-panel.tsx";
import styles from "./line-panel.module.css";

/** How the lines of a plan look: by the slot of their run; the baseline and the highlighted run are in front. */
function strokesOf(page: WorkspacePage, plan: Plan): Stroke[] {
  const { data, ink } = themeColours();
  const slots = page.slots.value;
  const { baseline } = page.view.value;
  const highlight = page.highlight.value;
  return plan.lines.map(({ run }) => {
    const slot = slots.get(run) ?? 0;
    const front = run === highlight || run === baseline;
    if (run === baseline) return { colour: ink, dash: [8, 4], width: 2, front };
    const dash = DASHES[Math.floor(slot / COLOURS)] ?? [];
    return { colour: data[slot % COLOURS] ?? ink, dash, width: front ? 2 : null, front };
  });
}

/** Connects charts to the page until the result is called. `charts` holds the chart while it is there. */
function startLines(
  host: HTMLElement,
  page: WorkspacePage,
  panel: Panel,
  charts: Map<string, Chart>,
): () => void {
  const { x } = page.view.peek();
  const options = (): ChartOptions => ({
    x,
    log: page.view.value.logY,
    robust: page.view.value.robust,
    colours: themeColours(),
    strokes: (plan) => strokesOf(page, plan),
    nameOf: (line) => page.name(line.run),
    always: ({ run }) => run === page.view.peek().baseline || page.view.peek().pins.includes(run),
    sync: `${page.id} ${x}`,
    onZoom: (range) => page.zoom(range),
    onHover: (at) => page.crosshair.point(panel.key, at),
    onDrawn: (plan, hidden) => {
      panel.hidden.value = hidden;
      for (const { run, last } of plan.lines) if (last !== null) chartDrawn(run, panel.key, last.x);
    },
  });
  let chart: Chart | null = null;
  let styled = "";
  let forget = (): void => undefined;
  const stops = [
    // Another scale or theme is another plot; other strokes are only painted.
    effect(() => {
      const wanted = options();
      const style = `${wanted.log} ${wanted.robust} ${wanted.colours.paper}`;
      if (chart === null) {
        chart = new Chart(host, wanted);
        charts.set(panel.key, chart);
        forget = charted(panel.key, chart);
      } else if (style !== styled) chart.restyle(wanted);
      styled = style;
    }),
    effect(() => {
      panel.revision.value;
      const range = page.view.value.zoom.get(x) ?? null;
      if (panel.plan !== null) chart?.update(panel.plan, range);
    }),
    effect(() => {
      page.slots.value;
      page.highlight.value;
      page.view.value.baseline;
      chart?.repaint();
    }),
    byKeyboard(host, page, panel, () => chart),
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
    announce(`${format.position(x, page.view.peek().x)}: ${words.join(", ")}`);
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
      const [low, high] = now.picture().view;
      const middle = (low + high) / 2;
      const half = ((high - low) / 2) * (event.key === "-" ? 2 : 0.5);
      page.zoom([middle - half, middle + half]);
    } else if (event.key === "0") page.zoom(null);
    else if (event.key === "Enter") page.openFull(page.view.peek().full === panel.key ? null : panel.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const onBlur = (): void => chart()?.leave();
  host.tabIndex = 0;
  host.setAttribute("role", "img");
  const stopLabel = effect(() => host.setAttribute("aria-label", summary(panel)));
  host.addEventListener("keydown", onKey);
  host.addEventListener("blur", onBlur);
  return () => {
    stopLabel();
    host.removeEventListener("keydown", onKey);
    host.removeEventListener("blur", onBlur);
  };
}

/** What the chart shows, for those who do not see it. */
function summary(panel: Panel): string {
  panel.revision.value;
  const lines = panel.plan?.lines ?? [];
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const line of lines) {
    for (const y of line.band?.low ?? line.y) low = Math.min(low, y);
    for (const y of line.band?.high ?? line.y) high = Math.max(high, y);
  }
  if (low > high) return `${panel.key}: ${t.chart.noPoints}`;
  const runs = new Set(lines.map((line) => line.run)).size;
  return t.chart.runsSummary(panel.key, runs, format.number(low), format.number(high));
}

function Notes({ page, panel }: { page: WorkspacePage; panel: Panel }): JSX.Element | null {
  panel.revision.value;
  const { plan } = panel;
  if (panel.error.value !== null) {
    const text = panel.error.value;
    return (
      <p class={`${panelStyles.error} ${styles.said}`} title={text}>
        {text}{" "}
        <button type="button" onClick={() => page.panels.retry()}>
          {t.errors.retry}
        </button>
      </p>
    );
  }
  // Without a run that is shown there is nothing to say of any.
  if (plan === null || page.drawn.value.length === 0) return null;
  const said = notes(plan, panel.hidden.value, page.view.value.x);
  const all = page.seenTotal.value;
  if (all > LINES_MAX)
    said.unshift(t.workspace.lines(format.count(page.drawn.value.length), format.count(all)));
  const empty = plan.lines.every((line) => line.x.length === 0 && line.nonFinite === 0);
  if (empty && !page.panels.awaits(panel)) said.unshift(t.chart.noPoints);
  const text = said.join(" · ");
  return said.length === 0 ? null : (
    <p class={panelStyles.note} title={text}>
      {text}
    </p>
  );
}

/** The key, with what the search has found in it marked. */
function Title({ page, name }: { page: WorkspacePage; name: string }): JSX.Element {
  const parts: JSX.Element[] = [];
  let at = 0;
  for (const [from, to] of matcher(page.view.value.search).marks(name)) {
    parts.push(<span key={at}>{name.slice(at, from)}</span>, <mark key={from}>{name.slice(from, to)}</mark>);
    at = to;
  }
  return (
    <h3 class={panelStyles.title} title={name}>
      {parts}
      {name.slice(at)}
    </h3>
  );
}

/** The value of a run that is alone, or how many there are. */
function Live({ panel }: { panel: Panel }): JSX.Element {
  panel.revision.value;
  const lines = (panel.plan?.lines ?? []).filter((line) => line.attempt === 0);
  const last = lines.length === 1 ? lines[0]?.last : null;
  return (
    <span class={panelStyles.value} title={last ? format.exact(last.y) : undefined}>
      {last ? format.number(last.y) : ""}
    </span>
  );
}

function copies(
  page: WorkspacePage,
  name: string,
  charts: Map<string, Chart>,
): { label: string; act: () => void }[] {
  const nameOf = (line: Line): string => page.name(line.run);
  const svg = (): string | null => {
    const chart = charts.get(name);
    return chart === undefined ? null : svgOf(chart.picture(), name, nameOf);
  };
  return [
    {
      label: t.workspace.png,
      act: () => {
        const text = svg();
        if (text !== null) savePng(`${name}.png`, text);
      },
    },
    {
      label: t.workspace.svg,
      act: () => {
        const text = svg();
        if (text !== null) save(`${name}.svg`, new Blob([text], { type: "image/svg+xml" }));
      },
    },
    {
      label: t.workspace.csv,
      act: () => {
        const chart = charts.get(name);
        if (chart !== undefined)
          save(`${name}.csv`, new Blob([csvOf(chart.picture(), name, nameOf)], { type: "text/csv" }));
      },
    },
  ];
}

/** The rule with one more key in it. */
export function withHidden(rule: string, key: string): string {
  const exact = `^${key.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`;
  return rule === "" ? exact : `${rule}|${exact}`;
}

function deeds(
  page: WorkspacePage,
  name: string,
  charts: Map<string, Chart>,
): { label: string; act: () => void }[] {
  const { entity, project } = page;
  return [
    ...copies(page, name, charts),
    {
      label: t.workspace.hideKey,
      act: () => page.set({ hiddenKeys: withHidden(page.view.peek().hiddenKeys, name) }),
    },
    {
      label: t.workspace.copyLink,
      act: () => {
        const url = new URL(routeHref({ page: "workspace", entity, project }), document.baseURI);
        url.search = page.link(name);
        void copyText(url.href);
      },
    },
  ];
}

/** The charts that are in the page: in full screen a key has two. */
const inGrid = new Map<string, Chart>();
const inFull = new Map<string, Chart>();

/** `full`: in full screen, where the buttons that lead there are not. */
export function LinePanel({
  page,
  name,
  full = false,
}: {
  page: WorkspacePage;
  name: string;
  full?: boolean;
}): JSX.Element {
  const panel = page.panels.panel(name);
  const charts = full ? inFull : inGrid;
  const pinned = page.view.value.pinnedKeys.includes(name);
  return (
    <figure class={panelStyles.panel} data-panel={name}>
      <div class={panelStyles.head}>
        <Title page={page} name={name} />
        <Live panel={panel} />
        <span class={`${styles.tools} ${full ? styles.always : ""}`}>
          <Tool
            icon="pin"
            label={t.workspace.pinPanel(name)}
            pressed={pinned}
            onClick={() => page.set({ pinnedKeys: toggled(page.view.peek().pinnedKeys, name) })}
          />
          {!full && (
            <Tool
              icon="full"
              label={`${t.workspace.fullScreen}: ${name}`}
              onClick={() => page.openFull(name)}
            />
          )}
          <Menu label={t.workspace.more(name)} deeds={deeds(page, name, charts)} />
        </span>
      </div>
      {panel.waiting.value && <div class={styles.waiting} />}
      <div class={panelStyles.body}>
        <Mount
          key={page.view.value.x}
          class={panelStyles.plot}
          start={(host) => startLines(host, page, panel, charts)}
        />
        <Notes page={page} panel={panel} />
      </div>
    </figure>
  );
}
