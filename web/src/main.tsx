/** Entry: styles, routing, the page. */
import { effect } from "@preact/signals";
import { type JSX, render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./tokens.css";
import "./base.css";
import { installDebugHook } from "./state/drawn.ts";
import { startKeyboard } from "./state/keyboard.ts";
import { page, startPages } from "./state/page.ts";
import { startRouter } from "./state/router.ts";
import { t } from "./strings.ts";
import { Boundary } from "./ui/boundary.tsx";
import { Notice } from "./ui/notice.tsx";
import { ProjectsView } from "./views/projects.tsx";
import { RunView } from "./views/run.tsx";
import { RunsView } from "./views/runs.tsx";
import { Shell } from "./views/shell.tsx";
import { WorkspaceView } from "./views/workspace.tsx";

function App(): JSX.Element | null {
  const open = page.value;
  if (open === null) return null;
  if (open.page === "projects") return <ProjectsView page={open} />;
  if (open.page === "workspace") return <WorkspaceView page={open} />;
  if (open.page === "runs") return <RunsView page={open} />;
  if (open.page === "run") return <RunView page={open} />;
  return (
    <Shell crumbs={[]}>
      <Notice title={t.errors.notFound} whole>
        <a href="./">{t.errors.toProjects}</a>
      </Notice>
    </Shell>
  );
}

function pageTitle(): string {
  const open = page.value;
  if (open?.page === "runs" || open?.page === "workspace") return `${open.project} · ${t.app}`;
  if (open?.page === "run") return `${open.run.value.value?.name ?? open.id} · ${open.project} · ${t.app}`;
  return t.app;
}

installDebugHook();
startRouter();
startKeyboard();
startPages();
effect(() => {
  document.title = pageTitle();
});
const root = document.getElementById("app");
if (root !== null) {
  render(
    <Boundary>
      <App />
    </Boundary>,
    root,
  );
}
