/**
 * What must not be overlooked, above the tabs of a run page: what was lost, which machine is silent, that a stop is under
 * way. Nothing of it waits to be looked for.
 */
import type { ComponentChildren, JSX } from "preact";
import type { Run } from "../data/types.ts";
import * as format from "../format.ts";
import { withQuery } from "../state/router.ts";
import type { RunPage } from "../state/run.ts";
import { t } from "../strings.ts";
import styles from "./tidings.module.css";
import { marked } from "./writers.tsx";

const text = t.tidings;

/** What of a run is not there, in words; nothing if all of it is. */
export function losses(run: Run): string[] {
  const sum = (numbers: readonly (number | null)[]): number =>
    numbers.reduce<number>((total, n) => total + (n ?? 0), 0);
  const dropped = sum(run.writers.map((writer) => writer.records_dropped));
  const missing = sum(run.gaps.map((gap) => gap.records));
  return [
    ...(missing > 0 ? [text.missing(missing, format.count(missing), run.gaps.length)] : []),
    ...(dropped > 0 ? [text.dropped(dropped, format.count(dropped))] : []),
  ];
}

/** The machines of the present attempt that nothing is heard of. */
export function silent(run: Run): Run["machines"] {
  const present = Math.max(0, ...run.attempts.map((attempt) => attempt.attempt));
  return run.machines.filter((machine) => machine.missing_us !== null && machine.attempt === present);
}

function Tiding({ level, children }: { level: "warn" | "error"; children: ComponentChildren }): JSX.Element {
  return (
    <p class={`${styles.tiding} ${styles[level]}`}>
      <svg class={styles.glyph} viewBox="0 0 12 12" aria-hidden="true">
        <path d="M6 1 11.500 11H0.500Z" />
      </svg>
      <span>{children}</span>
    </p>
  );
}

export function Tidings({ run, page }: { run: Run; page: RunPage }): JSX.Element {
  const lost = losses(run);
  // Of a missing machine its own line tells.
  const troubled = run.state === "running" ? marked(run.writers).filter(([mark]) => mark !== "lost") : [];
  const error = page.deedError.value;
  const stopping = run.stop?.open === true ? run.stop : null;
  return (
    // Said when it appears; so no ages in here, which would be said each second.
    <div role="status">
      {lost.length > 0 && (
        <Tiding level="error">
          {lost.join(" ")} <a href={withQuery({ tab: "events", range: null })}>{text.more}</a>
        </Tiding>
      )}
      {silent(run).map((machine) => (
        <Tiding key={machine.host} level="error">
          {text.silent(machine.host, machine.seen_us === null ? null : format.moment(machine.seen_us))}
        </Tiding>
      ))}
      {troubled.length > 0 && (
        <Tiding level={troubled.some(([mark]) => mark === "dead") ? "error" : "warn"}>
          {text.ranks(troubled.map(([mark, n]) => `${format.count(n)} ${t.writers.marks[mark]}`))}{" "}
          <a href={withQuery({ tab: "overview", range: null })}>{text.which}</a>
        </Tiding>
      )}
      {stopping !== null && (
        <Tiding level="warn">
          {text.stopping(
            text.vias[stopping.via] ?? stopping.via,
            stopping.by,
            format.moment(stopping.requested_us),
          )}
        </Tiding>
      )}
      {error !== null && <Tiding level="error">{text.notDone(error.message)}</Tiding>}
    </div>
  );
}
