/** What the menu of a workspace panel can do: copies of what is shown, the points as they were logged, a link. */
import { api } from "../data/api.ts";
import type { Range } from "../data/types.ts";
import type { Chart } from "../plot/chart.ts";
import { csvOf, save, savePng, svgOf } from "../plot/export.ts";
import type { Line } from "../plot/plan.ts";
import { routeHref } from "../state/router.ts";
import type { WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { copyText } from "../ui/copy.tsx";
import type { Deed } from "../ui/menu.tsx";

/** The charts of a page by key. */
export type Charts = Map<string, Chart>;

function copies(page: WorkspacePage, name: string, charts: Charts): Deed[] {
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
    { label: t.workspace.rawCsv, act: () => void saveLogged(page, name) },
  ];
}

/** All points of the runs that are drawn, as they were logged; of steps, those in the window. */
async function saveLogged(page: WorkspacePage, name: string): Promise<void> {
  const runs = page.drawn.peek();
  const window: Range | null = page.xOf(name) === "step" ? (page.view.peek().zoom.get("step") ?? null) : null;
  const range = window === null ? null : ([Math.ceil(window[0]), Math.floor(window[1])] as const);
  try {
    save(`${name}-points.csv`, await api.points(page.id, { keys: [name], runs, range }));
  } catch (error) {
    page.panels.panel(name).error.value = error instanceof Error ? error.message : String(error);
  }
}

/** The rule with one more key in it. */
export function withHidden(rule: string, key: string): string {
  const exact = `^${key.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`;
  return rule === "" ? exact : `${rule}|${exact}`;
}

export function deeds(page: WorkspacePage, name: string, charts: Charts): Deed[] {
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
