/** A scrolling table body of many rows of one height: only those in sight are drawn, the others are left room for. */
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import styles from "./row-window.module.css";

const IN_SIGHT = 20;
const AROUND = 8;
/** `--row-h`. */
const ROW_PX = 28;

function Room({ rows }: { rows: number }): JSX.Element | null {
  if (rows <= 0) return null;
  return (
    <tr>
      <td style={{ height: `${rows * ROW_PX}px` }} />
    </tr>
  );
}

interface Props {
  rows: number;
  label: string;
  table: string | undefined;
  head: ComponentChildren;
  /** So many rows are simply drawn. */
  whole?: number;
  /** The rows from `first` up to, not including, `end`. */
  children: (first: number, end: number) => ComponentChildren;
}

export function RowWindow({ rows, label, table, head, whole = 64, children }: Props): JSX.Element {
  const [top, setTop] = useState(0);
  const many = rows > whole;
  const drawn = many ? IN_SIGHT + 2 * AROUND : rows;
  const first = Math.max(0, Math.min(top - AROUND, rows - drawn));
  const end = Math.min(rows, first + drawn);
  return (
    <section
      class={`${styles.scroll} ${many ? styles.window : ""}`}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable without a mouse
      tabIndex={0}
      onScroll={(event) => setTop(Math.floor(event.currentTarget.scrollTop / ROW_PX))}
    >
      <table class={table} aria-rowcount={rows + 1}>
        {head}
        <tbody>
          <Room rows={first} />
          {children(first, end)}
          <Room rows={rows - end} />
        </tbody>
      </table>
    </section>
  );
}
