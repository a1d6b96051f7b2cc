/** A list of rows of one height of which only those in view are in the document; it scrolls by itself. */
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import styles from "./virtual-list.module.css";

interface ListProps {
  /** What the list is, for those who do not see it. */
  label: string;
  count: number;
  rowHeight: number;
  /** An `<li>` that places itself. */
  row: (index: number, top: number) => JSX.Element | null;
  /** A row that is to be in view; null = wherever the user has scrolled to. */
  at: number | null;
  /** Rows up to this number are in view or soon will be. */
  onNeed: (rows: number) => void;
}

/** Rows beyond each edge that are mounted, so that scrolling shows no empty ones. */
const AHEAD = 8;

interface Seen {
  readonly top: number;
  readonly height: number;
}

function useSeen(host: { current: HTMLElement | null }): Seen {
  const [seen, setSeen] = useState<Seen>({ top: 0, height: 0 });
  useLayoutEffect(() => {
    const element = host.current;
    if (element === null) return;
    let frame = 0;
    const now = (): void => {
      frame = 0;
      setSeen({ top: element.scrollTop, height: element.clientHeight });
    };
    const later = (): void => {
      if (frame === 0) frame = requestAnimationFrame(now);
    };
    now();
    const resize = new ResizeObserver(later);
    resize.observe(element);
    element.addEventListener("scroll", later, { passive: true });
    return () => {
      cancelAnimationFrame(frame);
      resize.disconnect();
      element.removeEventListener("scroll", later);
    };
  }, []);
  return seen;
}

export function VirtualList({ label, count, rowHeight, row, at, onNeed }: ListProps): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const { top, height } = useSeen(host);
  useLayoutEffect(() => {
    const element = host.current;
    if (at === null || element === null) return;
    const above = at * rowHeight < element.scrollTop;
    const below = (at + 1) * rowHeight > element.scrollTop + element.clientHeight;
    if (above) element.scrollTop = at * rowHeight;
    else if (below) element.scrollTop = (at + 1) * rowHeight - element.clientHeight;
  }, [at, rowHeight]);
  const from = Math.max(0, Math.floor(top / rowHeight) - AHEAD);
  const to = Math.min(count, Math.ceil((top + height) / rowHeight) + AHEAD);
  useLayoutEffect(() => onNeed(to + AHEAD), [to]);
  return (
    <div ref={host} class={styles.list}>
      <ul class={styles.rows} aria-label={label} style={{ height: `${count * rowHeight}px` }}>
        {Array.from({ length: Math.max(0, to - from) }, (_, i) => row(from + i, (from + i) * rowHeight))}
      </ul>
    </div>
  );
}
