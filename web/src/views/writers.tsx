/** The processes of a run: those in trouble first, then by rank. */
import type { JSX } from "preact";
import type { Mark, Run, Writer } from "../data/types.ts";
import * as format from "../format.ts";
import { now } from "../state/live.ts";
import { t } from "../strings.ts";
import { DayMark } from "../ui/day-mark.tsx";
import { RowWindow } from "../ui/row-window.tsx";
import styles from "./writers.module.css";

const text = t.writers;

const MARKS: readonly Mark[] = ["dead", "lost", "stopped", "lagging"];

/** How bad it is; the least is the worst. A process that drops what it logs comes right after the marked ones. */
function severity(writer: Writer): number {
  const mark = writer.mark === null ? -1 : MARKS.indexOf(writer.mark);
  if (mark >= 0) return mark;
  return writer.records_dropped ? MARKS.length : MARKS.length + 1;
}

/** The latest attempt first, in it those in trouble, then by rank; who began later first. */
export function byTrouble(writers: readonly Writer[]): Writer[] {
  return writers.toSorted(
    (a, b) =>
      b.attempt - a.attempt ||
      severity(a) - severity(b) ||
      (a.rank ?? 0) - (b.rank ?? 0) ||
      (b.started_us ?? 0) - (a.started_us ?? 0),
  );
}

/** How many ranks have each mark, the worst first; only marks that there are. */
export function marked(writers: readonly Writer[]): [Mark, number][] {
  return MARKS.map((mark): [Mark, number] => [mark, writers.filter((w) => w.mark === mark).length]).filter(
    ([, count]) => count > 0,
  );
}

/** In a line: how many, on how many nodes, and what they do. */
export function sum(run: Run): string {
  const present = Math.max(0, ...run.writers.map((w) => w.attempt));
  const writers = run.writers.filter((w) => w.attempt === present);
  const states = new Map<string, number>();
  for (const { state } of writers) states.set(state, (states.get(state) ?? 0) + 1);
  const nodes = new Set(writers.map((w) => w.host)).size;
  return text.sum(
    format.count(writers.length),
    writers.length,
    nodes,
    [...states].map(([state, n]) => `${format.count(n)} ${t.states[state as Writer["state"]] ?? state}`),
    marked(writers).map(([mark, n]) => `${format.count(n)} ${text.marks[mark]}`),
  );
}

function Age({ us, live }: { us: number | null; live: boolean }): JSX.Element {
  if (us === null) return <>–</>;
  const age = live ? format.ago(Math.max(0, now.value / 1000 - us / 1e6)) : format.shortMoment(us);
  return <span title={format.moment(us)}>{age}</span>;
}

function State({ writer }: { writer: Writer }): JSX.Element {
  const slow = writer.mark === "stopped" || writer.mark === "lagging";
  return (
    <>
      <DayMark state={slow ? "stalled" : writer.state} /> {t.states[writer.state] ?? writer.state}
      {writer.mark !== null && (
        <strong class={slow ? styles.warn : styles.bad} title={text.why[writer.mark]}>
          {" · "}
          {text.marks[writer.mark]}
        </strong>
      )}
    </>
  );
}

function Row({ writer, attempts, index }: { writer: Writer; attempts: boolean; index: number }): JSX.Element {
  const whole = (n: number | null): string => (n === null ? "–" : format.count(n));
  const live = writer.state === "running";
  return (
    <tr aria-rowindex={index + 2}>
      <th scope="row" class="num">
        {whole(writer.rank)}
      </th>
      {attempts && <td class="num">{writer.attempt}</td>}
      <td>
        <State writer={writer} />
      </td>
      <td class="num">{whole(writer.last_step)}</td>
      <td class="num">
        <Age us={writer.logged_us} live={live} />
      </td>
      <td class="num">
        <Age us={writer.seen_us} live={live} />
      </td>
      <td class={`num ${writer.backlog_bytes > 0 ? styles.warn : ""}`}>
        {format.bytes(writer.backlog_bytes)}
      </td>
      {/* Lost records are the one number here that must not be overlooked. */}
      <td class={`num ${writer.records_dropped ? styles.bad : ""}`}>{whole(writer.records_dropped)}</td>
      <td class={styles.host}>{writer.host || "–"}</td>
      <td class="num">{writer.pid === null ? "–" : String(writer.pid)}</td>
    </tr>
  );
}

function Head({ attempts }: { attempts: boolean }): JSX.Element {
  const heads: [string, boolean][] = [
    [text.rank, true],
    ...(attempts ? ([[text.attempt, true]] as [string, boolean][]) : []),
    [text.state, false],
    [text.lastStep, true],
    [text.lastRow, true],
    [text.seen, true],
    [text.backlog, true],
    [text.dropped, true],
    [text.node, false],
    [text.pid, true],
  ];
  return (
    <thead>
      <tr aria-rowindex={1}>
        {heads.map(([name, numeric]) => (
          <th key={name} scope="col" class={numeric ? "num" : ""}>
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}

export function Writers({ run }: { run: Run }): JSX.Element {
  const writers = byTrouble(run.writers);
  const attempts = new Set(run.writers.map((w) => w.attempt)).size > 1;
  return (
    <>
      {writers.length > 1 && <p class={styles.sum}>{sum(run)}</p>}
      <RowWindow
        rows={writers.length}
        label={text.title}
        table={styles.table}
        head={<Head attempts={attempts} />}
      >
        {(first, end) =>
          writers
            .slice(first, end)
            .map((writer, i) => <Row key={writer.id} writer={writer} attempts={attempts} index={first + i} />)
        }
      </RowWindow>
    </>
  );
}
