/** The line between two columns: dragged, or moved by the arrow keys. */
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import styles from "./splitter.module.css";

interface SplitterProps {
  label: string;
  /** Width of the column before it, in CSS pixels. */
  value: number;
  min: number;
  max: number;
  onChange: (value: number) => void;
}

const STEP_PX = 16;

export function Splitter({ label, value, min, max, onChange }: SplitterProps): JSX.Element {
  const drag = useRef<{ x: number; value: number } | null>(null);
  const set = (wanted: number): void => onChange(Math.round(Math.min(max, Math.max(min, wanted))));
  return (
    // biome-ignore lint/a11y/useSemanticElements: a separator that can be moved is a widget, which <hr> is not.
    <div
      class={styles.splitter}
      role="separator"
      aria-orientation="vertical"
      aria-label={label}
      aria-valuenow={value}
      aria-valuemin={min}
      aria-valuemax={max}
      tabIndex={0}
      onPointerDown={(event) => {
        drag.current = { x: event.clientX, value };
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (drag.current !== null) set(drag.current.value + event.clientX - drag.current.x);
      }}
      onPointerUp={() => {
        drag.current = null;
      }}
      onKeyDown={(event) => {
        if (event.key === "ArrowLeft") set(value - STEP_PX);
        else if (event.key === "ArrowRight") set(value + STEP_PX);
        else return;
        event.preventDefault();
      }}
    />
  );
}
