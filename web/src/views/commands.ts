/** What the keyboard and the palette can do on each page: one place, so that the two cannot differ. */
import type { Binding } from "../state/keyboard.ts";
import type { Page } from "../state/page.ts";
import { type Command, openPalette, overlay } from "../state/palette.ts";
import { listShown, showList } from "../state/preferences.ts";
import { follow, routeHref, setQuery } from "../state/router.ts";
import { type RunPage, TABS, tab } from "../state/run.ts";
import type { RunsPage } from "../state/runs.ts";
import { panelOwner, stepped } from "../state/settings.ts";
import { type Theme, theme } from "../state/theme.ts";
import { toggled } from "../state/view.ts";
import type { WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { step } from "./run-cursor.ts";
import { compareWith, comparison, look, pin } from "./run-list.tsx";

const words = t.keyboard;

const COMMON: readonly Binding[] = [
  { keys: ["Ctrl+k"], group: "page", text: words.palette, act: openPalette },
  {
    keys: ["?"],
    group: "page",
    text: words.help,
    act: () => {
      overlay.value = "help";
    },
  },
];

export function bindingsOf(page: Page | null): readonly Binding[] {
  if (page?.page === "run") return [...ofRun(page), ...COMMON];
  if (page?.page === "runs") return [...page.bindings.value, ...COMMON];
  return page?.page === "workspace"
    ? [...ofRuns(page), ...ofPanels(page), ...ofView(page), ...COMMON]
    : COMMON;
}

/** Puts the cursor into a field, with what is in it selected; the sheet of runs opens first where it is one. */
function focusField(id: string): void {
  // At once if it is there: the next key that is pressed belongs to it.
  if (focusNow(id)) return;
  if (id === "filter-runs" && !listShown.peek()) showList(true);
  requestAnimationFrame(() => focusNow(id));
}

function focusNow(id: string): boolean {
  const field = document.getElementById(id);
  if (!(field instanceof HTMLInputElement)) return false;
  field.focus();
  field.select();
  return document.activeElement === field;
}

function ofRuns(page: WorkspacePage): Binding[] {
  const at = (act: (run: string) => void) => (): void => {
    const run = page.cursor.peek();
    if (run !== null) act(run);
  };
  const group = "runs";
  return [
    { keys: ["f"], group, text: words.filter, act: () => focusField("filter-runs") },
    { keys: ["j", "ArrowDown"], group, text: words.next, act: () => step(page, 1) },
    { keys: ["k", "ArrowUp"], group, text: words.previous, act: () => step(page, -1) },
    { keys: ["Space"], group, text: words.eye, act: at((run) => look(page, run, false)) },
    { keys: ["Alt+Space"], group, text: words.only, act: at((run) => look(page, run, true)) },
    { keys: ["p"], group, text: words.pin, act: at((run) => pin(page, run)) },
    { keys: ["b"], group, text: words.baseline, act: at((run) => compareWith(page, run)) },
    { keys: ["c"], group, text: words.compare, act: () => compare(page) },
    { keys: ["Enter"], group, text: words.open, act: at((run) => openRun(page, run)) },
    { keys: ["["], group, text: words.list, act: () => showList(!listShown.peek()) },
  ];
}

function ofPanels(page: WorkspacePage): Binding[] {
  const group = "panels";
  return [
    { keys: ["/"], group, text: words.search, act: () => focusField("search-panels") },
    { keys: ["ArrowLeft", "ArrowRight"], group, text: words.crosshair },
    { keys: ["Home", "End"], group, text: words.ends },
    { keys: ["+", "-", "0"], group, text: words.zoom },
    { keys: ["0"], group, text: words.resetZoom, act: () => page.resetZoom() },
    { keys: ["."], group, text: words.latest, act: () => page.toLatest() },
    { keys: ["e"], group, text: words.editPanel, act: () => edit(page) },
    { keys: ["Enter", "Escape"], group, text: words.full },
  ];
}

/** Frames that a part of the page is waited for, which may have to be fetched first. */
const FRAMES_MAX = 300;

/** Presses a button, or puts the cursor into a field, as soon as it is in the page. */
function press(id: string, frames = FRAMES_MAX): void {
  const part = document.getElementById(id);
  if (part instanceof HTMLInputElement) part.focus();
  else if (part !== null) part.click();
  else if (frames > 0) requestAnimationFrame(() => press(id, frames - 1));
}

/** Presses a button of the overview, which is opened for that. */
function onOverview(id: string): void {
  setQuery({ tab: "overview", range: null });
  // Not at once: the key that was pressed is not for the field.
  requestAnimationFrame(() => press(id));
}

function ofRun(page: RunPage): Binding[] {
  const beside = (end: "before" | "after") => (): void => {
    const run = page.beside.found.peek()?.[end];
    const open = tab.peek() === "charts" ? "" : `?tab=${tab.peek()}`;
    if (run)
      follow(routeHref({ page: "run", entity: page.entity, project: page.project, run: run.id }) + open);
  };
  const tabs = TABS.map((name, i): Binding => {
    const act = (): void => setQuery({ tab: name === "charts" ? null : name, range: null });
    return { keys: [String(i + 1)], group: "view", text: words.tab(i + 1, t.run.tabs[name]), act };
  });
  return [
    { keys: ["j"], group: "runs", text: words.next, act: beside("after") },
    { keys: ["k"], group: "runs", text: words.previous, act: beside("before") },
    {
      keys: ["F2"],
      group: "runs",
      text: words.rename,
      act: () => press("edit-name"),
    },
    { keys: ["t"], group: "runs", text: words.tags, act: () => onOverview("add-tag") },
    { keys: ["n"], group: "runs", text: words.notes, act: () => onOverview("edit-notes") },
    ...tabs,
  ];
}

function ofView(page: WorkspacePage): Binding[] {
  const group = "view";
  return [
    { keys: ["g"], group, text: words.groupRuns, act: () => focusField("group-runs") },
    { keys: ["s"], group, text: words.smoother, act: () => smooth(page, 1) },
    { keys: ["Shift+s"], group, text: words.rougher, act: () => smooth(page, -1) },
    { keys: ["l"], group, text: words.logY, act: () => toggleLog(page) },
    { keys: ["Shift+l"], group, text: words.logX, act: () => page.set({ logX: !page.view.peek().logX }) },
    { keys: ["o"], group, text: words.robust, act: () => page.set({ robust: !page.view.peek().robust }) },
    { keys: ["Ctrl+z"], group, text: words.undo, act: () => page.undo() },
    { keys: ["Ctrl+Shift+z", "Ctrl+y"], group, text: words.redo, act: () => page.redo() },
    { keys: ["Ctrl"], group, text: words.size },
  ];
}

function compare(page: WorkspacePage): void {
  follow(comparison(page));
}

function toggleLog(page: WorkspacePage): void {
  page.set({ scale: page.view.peek().scale === "log" ? "linear" : "log" });
}

function smooth(page: WorkspacePage, by: -1 | 1): void {
  page.set({ smooth: stepped(page.view.peek().smooth, by) }, "smooth");
}

/** Opens the settings of the panel that the pointer or the crosshair is at. */
function edit(page: WorkspacePage): void {
  const key = page.crosshair.key.peek();
  if (key !== null) page.edit(panelOwner(key));
}

function openRun({ entity, project }: { entity: string; project: string }, run: string): void {
  follow(routeHref({ page: "run", entity, project, run }));
}

/** What the palette offers; made when it opens. */
export function commandsOf(page: Page | null): Command[] {
  const own = page?.page === "workspace" ? ofWorkspace(page) : page?.page === "runs" ? ofTable(page) : [];
  return [...own, ...everywhere(page)];
}

function everywhere(page: Page | null): Command[] {
  const action = (text: string, act: () => void): Command => ({ kind: "action", text, act });
  const themes: readonly Theme[] = ["auto", "light", "dark"];
  const here =
    page !== null && "project" in page
      ? (["workspace", "runs"] as const).map((name) => {
          const { entity, project } = page;
          const text = `${project}: ${t.workspace.tabs[name]}`;
          return action(text, () => follow(routeHref({ page: name, entity, project })));
        })
      : [];
  return [
    ...here,
    action(t.palette.projects, () => follow(routeHref({ page: "projects" }))),
    ...themes.map((name) =>
      action(t.palette.theme(t.theme[name]), () => {
        theme.value = name;
      }),
    ),
    action(t.keyboard.title, () => {
      overlay.value = "help";
    }),
  ];
}

function ofTable(page: RunsPage): Command[] {
  const actions = bindingsOf(page).flatMap(({ text, act, group }): Command[] =>
    act === undefined || (group !== "view" && group !== "table") ? [] : [{ kind: "action", text, act }],
  );
  const csv: Command = { kind: "action", text: t.table.csvHint, act: () => void page.saveFile() };
  const columns = page.columns.peek().map(
    ({ id, title }): Command => ({
      kind: "column",
      text: title,
      act: () => page.setLook({ columns: toggled(page.shown.peek().rest, id) }),
    }),
  );
  return [...actions, csv, ...columns];
}

function ofWorkspace(page: WorkspacePage): Command[] {
  const actions = bindingsOf(page).flatMap(({ text, act, group }): Command[] =>
    act === undefined || group !== "view" ? [] : [{ kind: "action", text, act }],
  );
  const eyes: Command[] = [
    {
      kind: "action",
      text: words.compare,
      act: () => compare(page),
    },
    {
      kind: "action",
      text: t.workspace.showAll,
      act: () => page.set({ eyes: { rule: "allBut", runs: [] } }),
    },
    { kind: "action", text: t.workspace.noneHint, act: () => page.set({ eyes: { rule: "only", runs: [] } }) },
  ];
  const sections = page.shown.peek().sections.map(
    ({ name }): Command => ({
      kind: "section",
      text: name,
      act: () => page.set({ closed: toggled(page.view.peek().closed, name) }),
    }),
  );
  const panels = (page.keys.peek() ?? []).map(
    (key): Command => ({ kind: "panel", text: key, act: () => page.openFull(key) }),
  );
  const runs = page.rows
    .peek()
    .map((row): Command => ({ kind: "run", text: row.name, act: () => openRun(page, row.id) }));
  return [...actions, ...eyes, ...sections, ...panels, ...runs];
}
