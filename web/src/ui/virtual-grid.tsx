/**
 * A grid of many rows and columns of which only those in view are in the document. It scrolls by itself; its head and its
 * pinned columns stay. The focus is the grid's, which names the cell that the keyboard acts on, so scrolling cannot lose it.
 */
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { inView, type Place } from "./grid-columns.ts";
import { type ScrollBox, useScrollBox } from "./scroll-box.ts";
import styles from "./virtual-grid.module.css";

/** Said of each part, because what is laid out in another way than a table loses the roles of one. */
export const ROLE = {
  group: { role: "rowgroup" },
  row: { role: "row" },
  head: { role: "columnheader" },
  cell: { role: "gridcell" },
  rowHead: { role: "rowheader" },
  none: { role: "presentation" },
} as const;

/** Rows and distances beyond the edges that are mounted already, so that scrolling shows no empty ones. */
const AHEAD_ROWS = 8;
const AHEAD_PX = 240;

/** What of the grid is in the document. */
export interface Seen {
  readonly first: number;
  readonly end: number;
  readonly places: readonly Place[];
}

interface GridProps {
  id: string;
  label: string;
  rows: number;
  rowHeight: number;
  /** Columns that are not pinned. */
  places: readonly Place[];
  pinnedWidth: number;
  width: number;
  columns: number;
  /** The cell that the keyboard acts on: its row (negative: the head), its id, and its place unless it is pinned. */
  active: { readonly row: number; readonly id: string; readonly place: Place | null } | null;
  onSeen: (seen: Seen) => void;
  /** The pointer or the focus is in it, or it is scrolled; or no more. */
  onHand: (hand: boolean) => void;
  onFocus: () => void;
  onKeyDown: (event: KeyboardEvent) => void;
  onPointerDown: (event: Event) => void;
  onDblClick: (event: Event) => void;
  head: (seen: Seen) => JSX.Element;
  row: (row: number, seen: Seen) => JSX.Element;
}

function useSeen({ rows, rowHeight, places, pinnedWidth }: GridProps, box: ScrollBox): Seen {
  const first = Math.max(0, Math.min(rows, Math.floor(box.top / rowHeight)) - AHEAD_ROWS);
  const end = Math.min(rows, Math.ceil((box.top + box.height) / rowHeight) + AHEAD_ROWS);
  const [from, to] = inView(places, box.left - AHEAD_PX, box.left + box.width - pinnedWidth + AHEAD_PX);
  const kept = useRef<{ of: readonly Place[]; from: number; to: number; places: readonly Place[] } | null>(
    null,
  );
  // The same columns are the same list, so that scrolling renders new rows only.
  if (kept.current?.of !== places || kept.current.from !== from || kept.current.to !== to)
    kept.current = { of: places, from, to, places: places.slice(from, to) };
  return { first, end, places: kept.current.places };
}

function useHand(host: { current: HTMLElement | null }, onHand: (hand: boolean) => void): void {
  useLayoutEffect(() => {
    const element = host.current;
    if (element === null) return;
    let over = false;
    let focus = false;
    const on = (name: string, act: (event: Event) => void): void => {
      element.addEventListener(name, (event) => {
        act(event);
        onHand(over || focus || element.scrollTop > 0);
      });
    };
    on("pointerenter", (event) => {
      over = event instanceof PointerEvent && event.pointerType === "mouse";
    });
    on("pointerleave", () => {
      over = false;
    });
    on("focusin", () => {
      focus = true;
    });
    on("focusout", () => {
      focus = false;
    });
    on("scroll", () => undefined);
    return () => onHand(false);
  }, []);
}

/** Scrolls to the active cell, below the head and beside the pinned columns. */
function useActiveInView(
  host: { current: HTMLElement | null },
  { active, rowHeight, pinnedWidth }: GridProps,
): void {
  useLayoutEffect(() => {
    const element = host.current;
    if (element === null || active === null) return;
    if (active.row >= 0) {
      const top = active.row * rowHeight;
      const room = element.clientHeight - rowHeight;
      if (top < element.scrollTop) element.scrollTop = top;
      else if (top + rowHeight > element.scrollTop + room) element.scrollTop = top + rowHeight - room;
    }
    if (active.place === null) return;
    const { left, width } = active.place;
    const room = element.clientWidth - pinnedWidth;
    if (left < element.scrollLeft || width > room) element.scrollLeft = left;
    else if (left + width > element.scrollLeft + room) element.scrollLeft = left + width - room;
  }, [active?.row, active?.id]);
}

export function VirtualGrid(props: GridProps): JSX.Element {
  const { rows, rowHeight, active, width } = props;
  const host = useRef<HTMLDivElement>(null);
  const seen = useSeen(props, useScrollBox(host));
  useHand(host, props.onHand);
  useActiveInView(host, props);
  useLayoutEffect(() => props.onSeen(seen), [seen.first, seen.end, seen.places]);
  const mounted = active !== null && (active.row < 0 || (active.row >= seen.first && active.row < seen.end));
  return (
    <div ref={host} class={styles.scroll} onPointerDown={props.onPointerDown}>
      <table
        // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a grid is a table that the keyboard moves in.
        role="grid"
        id={props.id}
        class={styles.grid}
        style={{ width: `${width}px` }}
        aria-label={props.label}
        aria-rowcount={rows + 1}
        aria-colcount={props.columns}
        aria-multiselectable="true"
        aria-activedescendant={mounted ? active.id : undefined}
        tabIndex={0}
        onFocus={props.onFocus}
        onKeyDown={props.onKeyDown}
        onDblClick={props.onDblClick}
      >
        <thead {...ROLE.group} class={styles.head}>
          {props.head(seen)}
        </thead>
        <tbody {...ROLE.group} class={styles.body} style={{ height: `${rows * rowHeight}px` }}>
          {Array.from({ length: Math.max(0, seen.end - seen.first) }, (_, i) =>
            props.row(seen.first + i, seen),
          )}
        </tbody>
      </table>
    </div>
  );
}
