/** A long text beside the baseline's: what is in one of them only is marked, by colour and by a sign. */
import type { JSX } from "preact";
import { diff } from "../data/text-diff.ts";
import { leafText } from "../data/values.ts";
import type { ComparePage } from "../state/compare.ts";
import { pathText } from "../state/outline.ts";
import { t } from "../strings.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Tool } from "../ui/tool.tsx";
import styles from "./text-diff.module.css";

const words = t.compare;

export function TextDiff({ page }: { page: ComparePage }): JSX.Element | null {
  const shown = page.diff.value;
  const columns = page.columns.value;
  const base = columns.findIndex(({ id }) => id === page.base.value);
  if (shown === null || base < 0) return null;
  const text = (column: number): string => {
    const value = shown.entry.values[column];
    return value === undefined ? "" : leafText(value);
  };
  const title = words.diffTitle(pathText(shown.entry.path));
  const close = (): void => {
    page.diff.value = null;
  };
  return (
    <Dialog label={title} kind="centre" onClose={close}>
      <div class={styles.head}>
        <h2>{title}</h2>
        <Tool icon="close" label={words.close} onClick={close} />
      </div>
      <p class={styles.legend}>
        <del>− {columns[base]?.name}</del> <ins>+ {columns[shown.column]?.name}</ins>
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable without a mouse */}
      <pre class={styles.text} tabIndex={0}>
        {diff(text(base), text(shown.column)).map((piece, i) =>
          piece.kind === "both" ? (
            <span key={i}>{piece.text}</span>
          ) : piece.kind === "before" ? (
            <del key={i}>{piece.text}</del>
          ) : (
            <ins key={i}>{piece.text}</ins>
          ),
        )}
      </pre>
    </Dialog>
  );
}
