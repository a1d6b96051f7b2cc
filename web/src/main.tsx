/** Entry: styles, routing, the page. */
import { effect } from "@preact/signals";
import { type JSX, render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./tokens.css";
import "./base.css";
import { installDebugHook } from "./state/drawn.ts";
import { bindings, startKeyboard } from "./state/keyboard.ts";
import { page, startPages } from "./state/page.ts";
import { overlay } from "./state/palette.ts";
import { startRouter } from "./state/router.ts";
import { t } from "./strings.ts";
import { Boundary } from "./ui/boundary.tsx";
import { lazy } from "./ui/lazy.tsx";
import { Notice } from "./ui/notice.tsx";
import { bindingsOf, commandsOf } from "./views/commands.ts";
import { Palette } from "./views/palette.tsx";
import { ProjectsView } from "./views/projects.tsx";
import { Shell } from "./views/shell.tsx";
import { Shortcuts } from "./views/shortcuts.tsx";

const WorkspaceView = lazy(async () => (await import("./views/workspace.tsx")).WorkspaceView);
const RunView = lazy(async () => (await import("./views/run.tsx")).RunView);
const RunsView = lazy(async () => (await import("./views/runs.tsx")).RunsView);
const CompareView = lazy(async () => (await import("./views/compare.tsx")).CompareView);

function App(): JSX.Element | null {
  const open = page.value;
  if (open === null) return null;
  if (open.page === "projects") return <ProjectsView page={open} />;
  if (open.page === "workspace") return <WorkspaceView page={open} />;
  if (open.page === "runs") return <RunsView page={open} />;
  if (open.page === "compare") return <CompareView page={open} />;
  // The boundary tells why a page could not be fetched.
  if (open.page === "nowhere" && open.error !== undefined) throw open.error;
  if (open.page === "run") return <RunView page={open} />;
  return (
    <Shell crumbs={[]}>
      <Notice title={t.errors.notFound} whole>
        <a href="./">{t.errors.toProjects}</a>
      </Notice>
    </Shell>
  );
}

function Overlay(): JSX.Element | null {
  if (overlay.value === "palette") return <Palette commands={commandsOf(page.peek())} />;
  return overlay.value === "help" ? <Shortcuts /> : null;
}

function pageTitle(): string {
  const open = page.value;
  if (open?.page === "compare") return `${t.compare.title} · ${open.project} · ${t.app}`;
  if (open?.page === "runs" || open?.page === "workspace") return `${open.project} · ${t.app}`;
  if (open?.page === "run") return `${open.run.value.value?.name ?? open.id} · ${open.project} · ${t.app}`;
  return t.app;
}

installDebugHook();
startRouter();
startKeyboard();
startPages();
effect(() => {
  bindings.value = bindingsOf(page.value);
  overlay.value = null;
});
effect(() => {
  document.title = pageTitle();
});
const root = document.getElementById("app");
if (root !== null) {
  render(
    <Boundary>
      <App />
      <Overlay />
    </Boundary>,
    root,
  );
}
