/** Where the focus of the table is, and how the editor of a cell is opened. */
import type { Field, Value } from "../state/run-edit.ts";
import type { RunsPage } from "../state/runs.ts";
import { isEditable } from "../state/table-columns.ts";
import { nameOf, type RunItem, tagsOf } from "../state/table-rows.ts";

export const GRID = "runs-grid";

/** Gives the focus to the table. */
export function focusGrid(): void {
  document.getElementById(GRID)?.focus({ preventScroll: true });
}

/** Opens the editor of a cell, if it has one. */
export function editCell(page: RunsPage, row: number, column: string): boolean {
  const found = page.rows.at(row);
  if (found?.kind !== "run" || !isEditable(column)) return false;
  page.edit.start(found.item.id, column, seenValue(found.item, column));
  return true;
}

function seenValue(run: RunItem, field: Field): Value {
  const value = run.cells.get(field);
  return field === "tags" ? tagsOf(value) : field === "name" ? nameOf(run) : String(value ?? "");
}
