/** The page that is open: its state lives exactly as long as its path is in the address bar. */
import { effect, type Signal, signal, untracked } from "@preact/signals";
import { ComparePage } from "./compare.ts";
import { ProjectsPage } from "./projects.ts";
import { type Route, route, routeHref } from "./router.ts";
import { RunPage } from "./run.ts";
import { RunsPage } from "./runs.ts";
import { WorkspacePage } from "./workspace.ts";

export type Page =
  | ProjectsPage
  | WorkspacePage
  | RunsPage
  | RunPage
  | ComparePage
  | { readonly page: "nowhere"; stop(): void };

function open(to: Route): Page {
  if (to.page === "projects") return new ProjectsPage();
  if (to.page === "workspace") return new WorkspacePage(to.entity, to.project);
  if (to.page === "runs") return new RunsPage(to.entity, to.project);
  if (to.page === "compare") return new ComparePage(to.entity, to.project);
  if (to.page === "run") return new RunPage(to.entity, to.project, to.run);
  return { page: "nowhere", stop() {} };
}

export const page: Signal<Page | null> = signal(null);

/** Opens pages as the route changes; a change of the query alone keeps the page. */
export function startPages(): void {
  let shown = "";
  effect(() => {
    const to = route.value;
    const path = `${to.page} ${routeHref(to)}`;
    if (path === shown) return;
    shown = path;
    untracked(() => {
      page.peek()?.stop();
      page.value = open(to);
    });
  });
}
