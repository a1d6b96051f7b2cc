/** The page that is open: its state lives exactly as long as its path is in the address bar. */
import { effect, type Signal, signal, untracked } from "@preact/signals";
import type { ComparePage } from "./compare.ts";
import { ProjectsPage } from "./projects.ts";
import { type Route, route, routeHref } from "./router.ts";
import { RunPage } from "./run.ts";
import type { RunsPage } from "./runs.ts";
import { WorkspacePage } from "./workspace.ts";

export type Page =
  | ProjectsPage
  | WorkspacePage
  | RunsPage
  | RunPage
  | ComparePage
  | { readonly page: "nowhere"; readonly error?: Error; stop(): void };

/** Pages that few begin with are fetched when they are opened. */
function open(to: Route): Page | Promise<Page> {
  if (to.page === "projects") return new ProjectsPage();
  if (to.page === "workspace") return new WorkspacePage(to.entity, to.project);
  if (to.page === "run") return new RunPage(to.entity, to.project, to.run);
  const { entity, project } = to.page === "nowhere" ? { entity: "", project: "" } : to;
  if (to.page === "runs") return import("./runs.ts").then(({ RunsPage }) => new RunsPage(entity, project));
  if (to.page === "compare")
    return import("./compare.ts").then(({ ComparePage }) => new ComparePage(entity, project));
  return { page: "nowhere", stop() {} };
}

export const page: Signal<Page | null> = signal(null);

function show(opened: Page | Promise<Page>, isWanted: () => boolean): void {
  if (!(opened instanceof Promise)) {
    page.value = opened;
    return;
  }
  const late = opened.catch((error: unknown): Page => {
    return { page: "nowhere", error: error instanceof Error ? error : new Error(String(error)), stop() {} };
  });
  void late.then((made) => {
    // Somebody may have gone on meanwhile.
    if (isWanted()) page.value = made;
    else made.stop();
  });
}

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
      page.value = null;
      show(open(to), () => shown === path);
    });
  });
}
