/** What the menu of a workspace panel can do: copies of what is shown, the points as they were logged, a link. */
import { api } from "../data/api.ts";
import type { Range } from "../data/types.ts";
import type { Chart, Picture } from "../plot/chart.ts";
import type * as Export from "../plot/export.ts";
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
  // Few need them, so they are no part of what a page loads first.
  const copy = (make: (tools: typeof Export, picture: Picture) => void) => (): void => {
    const picture = charts.get(name)?.picture();
    if (picture !== undefined) void import("../plot/export.ts").then((tools) => make(tools, picture));
  };
  return [
    {
      label: t.workspace.png,
      act: copy(({ savePng, svgOf }, picture) => savePng(`${name}.png`, svgOf(picture, name, nameOf))),
    },
    {
      label: t.workspace.svg,
      act: copy(({ save, svgOf }, picture) =>
        save(`${name}.svg`, new Blob([svgOf(picture, name, nameOf)], { type: "image/svg+xml" })),
      ),
    },
    {
      label: t.workspace.csv,
      act: copy(({ save, csvOf }, picture) =>
        save(`${name}.csv`, new Blob([csvOf(picture, name, nameOf)], { type: "text/csv" })),
      ),
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
    const points = await api.points(page.id, { keys: [name], runs, range });
    const { save } = await import("../plot/export.ts");
    save(`${name}-points.csv`, points);
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
