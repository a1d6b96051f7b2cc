/**
 * Drags that uPlot does not know: with Shift a drag pans, on the x axis it chooses a window of x, and Ctrl and the wheel
 * zoom where the page leaves them to the chart. While a drag lasts only this chart moves; the others follow at its end,
 * because another window is another question to the server.
 */
import type uPlot from "uplot";
import type { Range } from "../data/types.ts";

/** Anything shorter is a click. */
const SHORTEST_PX = 4;
/** A drag counts for both axes if it is at least this much as wide as high, and the other way round. */
const DIAGONAL_SHARE = 0.2;

/** The axes that a drag has chosen a window of. uPlot gives the whole width or height to the other one. */
export function draggedAxes(
  drag: { width: number; height: number },
  whole: { width: number; height: number },
): { x: boolean; y: boolean } {
  const x = drag.width >= SHORTEST_PX && drag.width < whole.width;
  const y = drag.height >= SHORTEST_PX && drag.height < whole.height;
  if (!x || !y) return { x: x || (!y && drag.width >= SHORTEST_PX), y };
  const ratio = drag.height / drag.width;
  return { x: ratio < 1 / DIAGONAL_SHARE, y: ratio > DIAGONAL_SHARE };
}

interface Dragged {
  readonly plot: () => uPlot;
  readonly view: () => Range;
  /** Shows another window for now. */
  readonly look: (range: Range) => void;
  /** Shows it for good. */
  readonly keep: (range: Range) => void;
}

/** Listens on the element that the chart is in, until the result is called. */
export function startDrags(host: HTMLElement, chart: Dragged): () => void {
  let end: (() => void) | null = null;
  const onDown = (event: MouseEvent): void => {
    if (event.button !== 0) return;
    const over = chart.plot().over.getBoundingClientRect();
    const inside = event.clientY < over.bottom;
    if (inside && !event.shiftKey) return;
    if (event.clientX < over.left || event.clientX > over.right || event.clientY < over.top) return;
    event.preventDefault();
    const move = inside ? pan(chart, event.clientX) : choose(chart, event.clientX);
    let window: Range | null = null;
    const onMove = (next: MouseEvent): void => {
      window = move(next.clientX);
    };
    end = (): void => {
      removeEventListener("mousemove", onMove);
      removeEventListener("mouseup", onUp);
    };
    const onUp = (): void => {
      end?.();
      chart.plot().setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      if (window !== null) chart.keep(window);
    };
    addEventListener("mousemove", onMove);
    addEventListener("mouseup", onUp);
  };
  host.addEventListener("mousedown", onDown);
  return () => {
    end?.();
    host.removeEventListener("mousedown", onDown);
  };
}

type Move = (clientX: number) => Range | null;

/** Moves the window with the pointer. */
function pan(chart: Dragged, from: number): Move {
  const [low, high] = chart.view();
  const { width } = chart.plot().over.getBoundingClientRect();
  return (clientX) => {
    const by = ((from - clientX) / width) * (high - low);
    const window: Range = [low + by, high + by];
    chart.look(window);
    return Math.abs(clientX - from) < SHORTEST_PX ? null : window;
  };
}

/** Marks a part of the axis. */
function choose(chart: Dragged, from: number): Move {
  const plot = chart.plot();
  const over = plot.over.getBoundingClientRect();
  const at = (clientX: number): number => Math.min(Math.max(clientX - over.left, 0), over.width);
  return (clientX) => {
    const [left, right] = [at(from), at(clientX)].sort((a, b) => a - b) as [number, number];
    plot.setSelect({ left, top: 0, width: right - left, height: over.height }, false);
    return right - left < SHORTEST_PX ? null : [plot.posToVal(left, "x"), plot.posToVal(right, "x")];
  };
}

/** The window that is `by` times as wide around a place in it, given as a share of its width. */
export function zoomed([low, high]: Range, by: number, share = 0.5): Range {
  const around = low + share * (high - low);
  return [around - (around - low) * by, around + (high - around) * by];
}
