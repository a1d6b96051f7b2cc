/** One panel of a workspace: a line for each run that is shown. */
import type { JSX } from "preact";
import { keyOfX } from "../data/types.ts";
import * as format from "../format.ts";
import type { Plan } from "../plot/plan.ts";
import type { Panel } from "../state/panels.ts";
import { matcher } from "../state/sections.ts";
import { panelOwner } from "../state/settings.ts";
import { toggled } from "../state/view.ts";
import type { WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { Icon } from "../ui/icons.tsx";
import { Menu } from "../ui/menu.tsx";
import { Mount } from "../ui/mount.tsx";
import { Tool } from "../ui/tool.tsx";
import panelStyles from "./chart-panel.module.css";
import { notes } from "./chart-panel.tsx";
import { startLines } from "./line-chart.ts";
import styles from "./line-panel.module.css";
import { type Charts, deeds } from "./panel-deeds.ts";
import { PanelSettings } from "./panel-settings.tsx";
import { smoothMeaning } from "./setting-controls.tsx";

/** What the panel makes of its runs: lines, groups or a density, and how the lines are smoothed. */
function wholeNotes(page: WorkspacePage, panel: Panel, plan: Plan): string[] {
  const words = t.workspace;
  const [shown, all] = [page.drawn.value.length, page.seenTotal.value];
  const x = page.xOf(panel.key);
  const { smooth } = page.settings(panel.key);
  const grouped = page.view.value.group.length > 0;
  const said: string[] = [];
  if (plan.density !== null) {
    const { series } = plan.density;
    said.push(
      all > shown
        ? words.densityOf(format.count(series), format.count(all))
        : words.density(format.count(series)),
      words.densityLines(format.count(plan.lines.length)),
    );
  } else if (all > shown) said.push(words.lines(format.count(shown), format.count(all)));
  if (grouped) said.push(words.groups(plan.lines.length, format.count(shown)));
  if (smooth !== null)
    said.push(
      grouped
        ? words.notSmoothed
        : `${words.smoothings[smooth.kind]} ${smoothMeaning(smooth, page.spanOf(x), x)}`.trim(),
    );
  const key = keyOfX(x);
  if (key !== null && plan.carried > 0) said.push(words.overKey(format.count(plan.carried), key));
  return said;
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
  const said = [...wholeNotes(page, panel, plan), ...notes(plan, panel.hidden.value, page.xOf(panel.key))];
  if (panel.hiddenX.value > 0) said.push(t.chart.notOnLogX(format.count(panel.hiddenX.value)));
  const empty =
    plan.density === null && plan.lines.every((line) => line.x.length === 0 && line.nonFinite === 0);
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

/** Says that the panel differs from the others. */
function Own(): JSX.Element {
  return (
    <span class={styles.own} title={t.workspace.ownSettings}>
      <Icon name="settings" />
      <span class="vh">{t.workspace.ownSettings}</span>
    </span>
  );
}

/** The charts that are in the page: in full screen a key has two. */
const inGrid: Charts = new Map();
const inFull: Charts = new Map();

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
  const own = page.view.value.owns.has(panelOwner(name));
  return (
    <figure class={panelStyles.panel} data-panel={name}>
      <div class={panelStyles.head}>
        <Title page={page} name={name} />
        {own && <Own />}
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
          <PanelSettings page={page} owner={panelOwner(name)} name={name} panel={name} full={full} />
          <Menu label={t.workspace.more(name)} deeds={deeds(page, name, charts)} />
        </span>
      </div>
      {panel.waiting.value && <div class={styles.waiting} />}
      <div class={panelStyles.body}>
        <Mount
          key={page.xOf(name)}
          class={panelStyles.plot}
          start={(host) => startLines(host, page, panel, charts)}
        />
        <Notes page={page} panel={panel} />
      </div>
    </figure>
  );
}
