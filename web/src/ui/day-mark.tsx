/** Run states as day-marks: shaped like the top-marks of buoys, so that state never depends on colour. */
import type { JSX } from "preact";
import type { RunState } from "../data/types.ts";
import { t } from "../strings.ts";
import styles from "./day-mark.module.css";

const TRIANGLE = "M6 1.5 11 10.5H1Z";

const SHAPES: Record<RunState, () => JSX.Element> = {
  running: () => (
    <>
      <circle cx="6" cy="6" r="2.75" class={styles.fill} />
      <circle cx="6" cy="6" r="5" class={styles.line} />
    </>
  ),
  pending: () => <circle cx="6" cy="6" r="4.5" class={styles.line} />,
  finished: () => <rect x="1.5" y="1.5" width="9" height="9" class={styles.fill} />,
  failed: () => <path d={TRIANGLE} class={styles.fill} />,
  crashed: () => (
    <>
      <path d={TRIANGLE} class={styles.fill} />
      <path d="M0 7.5 H12" class={styles.gap} />
    </>
  ),
  killed: () => <rect x="2" y="2" width="8" height="8" class={styles.line} />,
  stalled: () => (
    <>
      <circle cx="6" cy="6" r="4.75" class={styles.fill} />
      <path d="M2.500 6 H9.500" class={styles.gap} />
    </>
  ),
};

/** The glyph; its title is the state's name. An unknown state of a newer server is shown as pending. */
export function DayMark({ state }: { state: RunState }): JSX.Element {
  const Shape = SHAPES[state] ?? SHAPES.pending;
  const name = t.states[state] ?? String(state);
  return (
    <svg class={`${styles.mark} ${styles[state] ?? ""}`} viewBox="0 0 12 12" role="img" aria-label={name}>
      <title>{name}</title>
      <Shape />
    </svg>
  );
}
