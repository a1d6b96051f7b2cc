/**
 * The virtual grid of a chart page: only sections and panels near the viewport are in the document, whatever the
 * number of keys. The window scrolls; the grid measures where it is in it.
 */
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Item, inView, layoutGrid, type Section } from "./grid-layout.ts";
import styles from "./panel-grid.module.css";

interface GridProps {
  sections: readonly Section[];
  closed: ReadonlySet<string>;
  onToggle: (section: string) => void;
  panel: (key: string) => JSX.Element;
  /** Least width of a panel and height of its plot; without it the tokens of the page say. */
  size?: { readonly width: number; readonly height: number };
  /** What else is in the heading of a section. */
  tools?: (section: string) => JSX.Element | null;
}

const HEAD_H = 44;
const TITLE_H = 28;
/** Panels this far outside of the viewport are mounted already, so that scrolling shows no empty ones. */
const AHEAD_PX = 240;

interface Seen {
  readonly width: number;
  readonly from: number;
  readonly to: number;
}

function measure(host: HTMLElement): Seen {
  const box = host.getBoundingClientRect();
  return { width: Math.round(box.width), from: -box.top - AHEAD_PX, to: innerHeight - box.top + AHEAD_PX };
}

function token(host: HTMLElement, name: string): number {
  return Number.parseFloat(getComputedStyle(host).getPropertyValue(name));
}

/** Follows scrolling and resizing of the window and the host, at most once a frame. */
function useSeen(host: { current: HTMLElement | null }): Seen | null {
  const [seen, setSeen] = useState<Seen | null>(null);
  useLayoutEffect(() => {
    const element = host.current;
    if (element === null) return;
    let frame = 0;
    const now = (): void => {
      frame = 0;
      setSeen(measure(element));
    };
    const later = (): void => {
      if (frame === 0) frame = requestAnimationFrame(now);
    };
    now();
    const resize = new ResizeObserver(later);
    resize.observe(element);
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", later);
    return () => {
      cancelAnimationFrame(frame);
      resize.disconnect();
      removeEventListener("scroll", later);
      removeEventListener("resize", later);
    };
  }, []);
  return seen;
}

export function PanelGrid({ sections, closed, onToggle, panel, size, tools }: GridProps): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const seen = useSeen(host);
  if (seen === null || host.current === null) return <div ref={host} class={styles.grid} />;
  const layout = layoutGrid(sections, closed, {
    width: seen.width,
    panelMin: Math.min(size?.width ?? token(host.current, "--panel-w"), seen.width),
    panelHeight: (size?.height ?? token(host.current, "--panel-h")) + TITLE_H,
    headHeight: HEAD_H,
    gutter: 2 * token(host.current, "--gutter"),
  });
  const draw = (item: Item): JSX.Element => {
    if (item.kind === "head")
      return (
        <Head key={`# ${item.section.name}`} item={item} closed={closed} onToggle={onToggle} tools={tools} />
      );
    const place = {
      top: `${item.top}px`,
      left: `${item.left}px`,
      width: `${item.width}px`,
      height: `${item.height}px`,
    };
    return (
      <div key={item.key} class={styles.cell} style={place}>
        {panel(item.key)}
      </div>
    );
  };
  return (
    <div ref={host} class={styles.grid} style={{ height: `${layout.height}px` }}>
      {inView(layout, seen.from, seen.to).map(draw)}
    </div>
  );
}

interface HeadProps {
  item: Extract<Item, { kind: "head" }>;
  closed: ReadonlySet<string>;
  onToggle: (section: string) => void;
  tools: ((section: string) => JSX.Element | null) | undefined;
}

function Head({ item, closed, onToggle, tools }: HeadProps): JSX.Element {
  const { name, keys } = item.section;
  return (
    <div class={styles.head} style={{ top: `${item.top}px`, height: `${item.height}px` }}>
      <h2>
        <button
          type="button"
          class={styles.toggle}
          aria-expanded={!closed.has(name)}
          onClick={() => onToggle(name)}
        >
          <span class={styles.name}>{name}</span>
          <span class={styles.count}>{keys.length}</span>
        </button>
      </h2>
      {tools !== undefined && <span class={styles.tools}>{tools(name)}</span>}
    </div>
  );
}
