/** What the keyboard does in the table: the grid moves a cursor from cell to cell, single keys act on its run. */
import { compareHref } from "../state/compare-link.ts";
import type { Binding } from "../state/keyboard.ts";
import { follow, routeHref } from "../state/router.ts";
import { type Cursor, HEAD, type RunsPage, SELECT } from "../state/runs.ts";
import { titleOf } from "../state/table-columns.ts";
import { t } from "../strings.ts";
import { editCell, focusGrid, GRID } from "./grid-edit.ts";
import { adjust, openMenu, sortBy } from "./runs-head.tsx";

const ROW_H = 28;
const COARSE_ROW_H = 44;
const coarse = matchMedia("(pointer: coarse)");
export const rowHeight = (): number => (coarse.matches ? COARSE_ROW_H : ROW_H);

/** Rows that a page key goes on by. */
function pageRows(): number {
  const height = document.getElementById(GRID)?.parentElement?.clientHeight ?? 0;
  return Math.max(1, Math.floor(height / rowHeight()) - 2);
}

function moved(page: RunsPage, rows: number, columns: number): void {
  const order = page.order.peek();
  const last = (page.rows.count.peek() ?? 0) - 1;
  const now: Cursor = page.cursor.peek() ?? { row: HEAD, column: "name" };
  const at = Math.max(0, order.indexOf(now.column));
  const column = order[Math.min(order.length - 1, Math.max(0, at + columns))] ?? now.column;
  page.cursor.value = { row: Math.min(last, Math.max(HEAD, now.row + rows)), column };
}

/** Next or previous run, with the focus in the table. */
export function stepRow(page: RunsPage, by: 1 | -1): void {
  if (page.cursor.peek() === null) page.cursor.value = { row: by > 0 ? -1 : 0, column: "name" };
  moved(page, by, 0);
  if (page.cursor.peek()?.row === HEAD) moved(page, 1, 0);
  focusGrid();
}

const FAR = Number.MAX_SAFE_INTEGER;

function moveOf(key: string, ctrl: boolean): readonly [rows: number, columns: number] | null {
  const moves: Record<string, readonly [number, number]> = {
    ArrowUp: [ctrl ? -FAR : -1, 0],
    ArrowDown: [ctrl ? FAR : 1, 0],
    ArrowLeft: [0, ctrl ? -FAR : -1],
    ArrowRight: [0, ctrl ? FAR : 1],
    Home: [ctrl ? -FAR : 0, -FAR],
    End: [ctrl ? FAR : 0, FAR],
    PageUp: [-pageRows(), 0],
    PageDown: [pageRows(), 0],
  };
  return moves[key] ?? null;
}

/** Keys on a header; true if there was something to do. */
function onHeadKey(event: KeyboardEvent, page: RunsPage, column: string): boolean {
  const by = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
  if (by !== 0 && event.altKey) adjust(page, column, by, event.shiftKey);
  else if (column === SELECT && (event.key === "Enter" || event.key === " ")) void page.selectAll();
  else if (event.key === "Enter" || event.key === " ") sortBy(page, column, event.shiftKey);
  else if ((event.key === "ArrowDown" && event.altKey) || event.key === "ContextMenu") {
    const head = document.querySelector(`#${GRID} th[data-column="${CSS.escape(column)}"]`);
    if (head === null || column === SELECT) return false;
    openMenu(column, head);
  } else return false;
  return true;
}

/** Keys on a cell of a row. */
function onCellKey(event: KeyboardEvent, page: RunsPage, { row, column }: Cursor): boolean {
  const found = page.rows.at(row);
  if (event.key === " ") {
    if (found?.kind === "group") page.rows.toggle(row);
    else page.select(row, event.shiftKey);
  } else if (event.key === "Enter") enter(page, row, column);
  else if (event.key === "F2") editCell(page, row, "name");
  else return false;
  return true;
}

/** Opens what the cell has: a group, the editor of what can be edited, else the run. */
function enter(page: RunsPage, row: number, column: string): void {
  const found = page.rows.at(row);
  if (found?.kind === "group") page.rows.toggle(row);
  else if (column === SELECT) page.select(row);
  // A name is the link of its run; F2 changes it.
  else if (column === "name" || !editCell(page, row, column)) openRun(page, row);
}

function openRun(page: RunsPage, row: number): void {
  const found = page.rows.at(row);
  if (found?.kind !== "run") return;
  const { entity, project } = page;
  follow(routeHref({ page: "run", entity, project, run: found.item.id }));
}

export function onGridKey(event: KeyboardEvent, page: RunsPage): void {
  // What is inside a cell keeps its keys to itself.
  if (event.target !== event.currentTarget) return;
  const cursor = page.cursor.peek();
  if (cursor === null) return;
  const acted = cursor.row === HEAD ? onHeadKey(event, page, cursor.column) : onCellKey(event, page, cursor);
  const move = acted || event.altKey ? null : moveOf(event.key, event.ctrlKey || event.metaKey);
  if (move !== null) moved(page, ...move);
  else if (!acted) return;
  event.preventDefault();
}

/** Edits a field of the run under the cursor, whose column comes into view; hidden columns are shown first. */
function editField(page: RunsPage, field: "name" | "tags" | "notes"): void {
  const cursor = page.cursor.peek();
  if (cursor === null || cursor.row === HEAD) return;
  if (!page.order.peek().includes(field)) page.setLook({ columns: [field, ...page.shown.peek().rest] });
  page.cursor.value = { row: cursor.row, column: field };
  // The column may have to be scrolled to and mounted first.
  requestAnimationFrame(() => requestAnimationFrame(() => editCell(page, cursor.row, field)));
}

/** Groups by the column under the cursor, or no more. */
function groupByCursor(page: RunsPage): void {
  const { group } = page.look.peek();
  const column = page.cursor.peek()?.column;
  if (group.length > 0) page.setLook({ group: [] });
  else if (column !== undefined && ![SELECT, "name", "id"].includes(column))
    page.setLook({ group: [column] });
}

function focusFilter(): void {
  const field = document.getElementById("filter-runs");
  if (!(field instanceof HTMLInputElement)) return;
  field.focus();
  field.select();
}

export function tableBindings(page: RunsPage): Binding[] {
  const words = t.keyboard;
  const group = "table";
  const here = (act: (row: number) => void) => (): void => {
    const row = page.cursor.peek()?.row ?? HEAD;
    if (row !== HEAD) act(row);
  };
  return [
    { keys: ["f"], group: "runs", text: words.filter, act: focusFilter },
    { keys: ["j"], group: "runs", text: words.next, act: () => stepRow(page, 1) },
    { keys: ["k"], group: "runs", text: words.previous, act: () => stepRow(page, -1) },
    { keys: ["x", "Space"], group: "runs", text: words.select, act: here((row) => page.select(row)) },
    { keys: ["Shift+x"], group: "runs", text: words.selectTo, act: here((row) => page.select(row, true)) },
    { keys: ["F2"], group: "runs", text: words.rename, act: () => editField(page, "name") },
    { keys: ["t"], group: "runs", text: words.tags, act: () => editField(page, "tags") },
    { keys: ["n"], group: "runs", text: words.notes, act: () => editField(page, "notes") },
    { keys: ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"], group, text: words.cell },
    { keys: ["Enter"], group, text: words.edit },
    { keys: ["Enter", "Shift+Enter"], group, text: words.headers },
    { keys: ["Alt+ArrowDown"], group, text: words.headerMenu },
    { keys: ["Alt+ArrowLeft", "Alt+ArrowRight"], group, text: words.headerWidth },
    { keys: ["Alt+Shift+ArrowLeft", "Alt+Shift+ArrowRight"], group, text: words.headerMove },
    { keys: ["c"], group: "runs", text: words.compareSelected, act: () => compareSelected(page) },
    { keys: ["g"], group, text: words.group, act: () => groupByCursor(page) },
    { keys: ["v"], group, text: words.columns, act: () => openColumns(page) },
    { keys: ["u"], group, text: words.order, act: () => page.reorder() },
    { keys: ["Ctrl+z"], group: "view", text: words.undo, act: () => page.undo() },
    { keys: ["Ctrl+Shift+z", "Ctrl+y"], group: "view", text: words.redo, act: () => page.redo() },
  ];
}

/** Shows the selected runs side by side. */
export function compareSelected(page: RunsPage): void {
  const runs = [...page.selected.peek()];
  if (runs.length > 0) follow(compareHref(page, runs, page.view.peek().baseline));
}

function openColumns(page: RunsPage): void {
  page.dialog.value = "columns";
}

/** What the table is grouped by, in words. */
export function groupTitles(page: RunsPage): string {
  return page.look.value.group.map(titleOf).join(", ");
}
