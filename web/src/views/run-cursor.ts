/** The run that the keyboard acts on. */
import type { WorkspacePage } from "../state/workspace.ts";

/** Moves the cursor in the list of runs and takes the focus along. */
export function step(page: WorkspacePage, by: 1 | -1): void {
  const rows = page.rows.peek();
  const cursor = page.cursor.peek();
  const at = rows.findIndex((row) => row.id === cursor);
  const next =
    rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))];
  if (next === undefined) return;
  page.cursor.value = next.id;
  const focus = (): void => {
    for (const link of document.querySelectorAll<HTMLElement>("a[data-run]")) {
      if (link.dataset.run === next.id) link.focus({ preventScroll: true });
    }
  };
  // The row may have to be scrolled to and mounted first.
  requestAnimationFrame(() => requestAnimationFrame(focus));
}
