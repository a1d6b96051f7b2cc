/** How a run's lines look, in small. */
import type { JSX } from "preact";
import { COLOURS, DASHES } from "../state/slots.ts";
import styles from "./swatch.module.css";

/** `slot` undefined: the run has no lines. */
export function Swatch({ slot, base }: { slot: number | undefined; base: boolean }): JSX.Element {
  if (slot === undefined && !base) return <span class={styles.swatch} />;
  const colour = base ? "var(--ink)" : `var(--data-${((slot ?? 0) % COLOURS) + 1})`;
  const dash = base ? [8, 4] : (DASHES[Math.floor((slot ?? 0) / COLOURS)] ?? []);
  return (
    <svg class={styles.swatch} viewBox="0 0 20 4" aria-hidden="true">
      <path d="M0 2H20" stroke={colour} stroke-width={base ? 2.5 : 2} stroke-dasharray={dash.join(" ")} />
    </svg>
  );
}
