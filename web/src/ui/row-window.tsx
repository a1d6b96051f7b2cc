/** A scrolling table body of many rows of one height: only those in sight are drawn, the others are left room for. */
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import styles from "./row-window.module.css";

const IN_SIGHT = 20;
const AROUND = 8;

function Room({ rows }: { rows: number }): JSX.Element | null {
  if (rows <= 0) return null;
  return (
    <tr>
      <td style={{ height: `calc(${rows} * var(--row-h))` }} />
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
  /** Least width of the table in CSS pixels. */
  minWidth?: number;
  /** The rows from `first` up to, not including, `end`. */
  children: (first: number, end: number) => ComponentChildren;
}

export function RowWindow({ rows, label, table, head, whole = 64, minWidth, children }: Props): JSX.Element {
  const host = useRef<HTMLElement>(null);
  const [top, setTop] = useState(0);
  const many = rows > whole;
  const drawn = many ? IN_SIGHT + 2 * AROUND : rows;
  const first = Math.max(0, Math.min(top - AROUND, rows - drawn));
  const end = Math.min(rows, first + drawn);
  const follow = (): void => {
    const element = host.current;
    if (element === null) return;
    // Rows are higher where fingers point at them.
    const height = Number.parseFloat(getComputedStyle(element).getPropertyValue("--row-h")) || 28;
    setTop(Math.floor(element.scrollTop / height));
  };
  // Fewer rows than before may leave the window further up without a scroll event.
  useLayoutEffect(follow, [rows]);
  return (
    <section
      ref={host}
      class={`${styles.scroll} ${many ? styles.window : ""}`}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable without a mouse
      tabIndex={0}
      onScroll={follow}
    >
      <table
        class={table}
        aria-rowcount={rows + 1}
        style={minWidth === undefined ? undefined : { minWidth: `${minWidth}px` }}
      >
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
