/** Overview of a run: what went in (config), what came out (summary), and the facts around it. */
import type { ComponentChildren, JSX } from "preact";
import type { Run } from "../data/types.ts";
import { show } from "../data/values.ts";
import * as format from "../format.ts";
import { now } from "../state/live.ts";
import { routeHref } from "../state/router.ts";
import { t } from "../strings.ts";
import { DayMark } from "../ui/day-mark.tsx";
import { Parts, partsOf } from "../ui/parts.tsx";
import { RowWindow } from "../ui/row-window.tsx";
import { Tree } from "../ui/tree.tsx";
import styles from "./overview.module.css";
import { lasted } from "./runs.tsx";
import { Writers } from "./writers.tsx";

const text = t.overview;

function Section({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  return (
    <section class={styles.section}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Summary({ run }: { run: Run }): JSX.Element {
  const rows = Object.entries(run.summary).sort(([a], [b]) =>
    a.localeCompare(b, undefined, { numeric: true }),
  );
  if (rows.length === 0) return <p class="quiet">{text.noSummary}</p>;
  return (
    <table class={styles.wide}>
      <thead class="vh">
        <tr>
          <th scope="col">{text.key}</th>
          <th scope="col">{text.value}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([key, value]) => {
          const numeric = partsOf(value).every(([, part]) => show(part).numeric);
          return (
            <tr key={key}>
              <th scope="row" class={styles.key}>
                {key}
              </th>
              <td class={numeric ? "num" : styles.right}>
                <Parts value={value} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }): JSX.Element | null {
  if (children === null || children === undefined || children === "") return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

/** Nothing, for a moment that has not come: facts without a value are left out. */
const when = (us: number | null): string | null => (us === null ? null : format.moment(us));

const HOSTS_MAX = 8;

function hosts(run: Run): string {
  const names = [...new Set(run.writers.flatMap((w) => (w.host === null ? [] : [w.host])))];
  const more = names.length - HOSTS_MAX;
  return names.slice(0, HOSTS_MAX).join(", ") + (more > 0 ? ` ${text.moreHosts(more)}` : "");
}

function Fork({ run, from }: { run: Run; from: { run: string; step: number } }): JSX.Element {
  const href = routeHref({ page: "run", entity: run.entity, project: run.project, run: from.run });
  return (
    <>
      <a href={href}>{from.run}</a> {text.forkedAt(format.count(from.step))}
    </>
  );
}

function About({ run }: { run: Run }): JSX.Element {
  const live = run.state === "running";
  const seconds = lasted(run.started_us ?? run.created_us, run.ended_us, live, live ? now.value : 0);
  const facts = text.facts;
  return (
    <dl class={styles.facts}>
      <Fact name={facts.state}>
        <DayMark state={run.state} /> {t.states[run.state] ?? run.state}
      </Fact>
      <Fact name={facts.exit}>{run.exit_code === null ? null : String(run.exit_code)}</Fact>
      <Fact name={facts.id}>
        <code>{run.id}</code>
      </Fact>
      <Fact name={facts.group}>{run.group}</Fact>
      <Fact name={facts.jobType}>{run.job_type}</Fact>
      <Fact name={facts.tags}>{run.tags.join(", ")}</Fact>
      <Fact name={facts.notes}>{run.notes}</Fact>
      <Fact name={facts.created}>{when(run.created_us)}</Fact>
      <Fact name={facts.ended}>{when(run.ended_us)}</Fact>
      <Fact name={facts.duration}>{seconds === null ? null : format.duration(seconds)}</Fact>
      <Fact name={facts.stop}>
        {run.stop === null
          ? null
          : t.tidings.asked(
              t.tidings.vias[run.stop.via] ?? run.stop.via,
              run.stop.by,
              format.moment(run.stop.requested_us),
            )}
      </Fact>
      <Fact name={facts.host}>{hosts(run)}</Fact>
      <Fact name={facts.fork}>{run.fork && <Fork run={run} from={run.fork} />}</Fact>
    </dl>
  );
}

function Attempts({ run }: { run: Run }): JSX.Element {
  return (
    <table class={`${styles.wide} ${styles.numbered}`}>
      <thead>
        <tr>
          <th scope="col" class="num">
            {text.attempt}
          </th>
          <th scope="col">{text.state}</th>
          <th scope="col">{text.started}</th>
        </tr>
      </thead>
      <tbody>
        {run.attempts.map((attempt) => (
          <tr key={attempt.attempt}>
            <td class="num">{attempt.attempt}</td>
            <td>
              <DayMark state={attempt.state} /> {t.states[attempt.state] ?? attempt.state}
            </td>
            <td>{format.moment(attempt.started_us)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Machines({ run }: { run: Run }): JSX.Element {
  return (
    <RowWindow
      rows={run.machines.length}
      label={text.machines}
      table={styles.wide}
      whole={24}
      head={
        <thead>
          <tr>
            <th scope="col">{text.host}</th>
            <th scope="col" class="num">
              {text.attempt}
            </th>
            <th scope="col">{text.seen}</th>
          </tr>
        </thead>
      }
    >
      {(first, end) =>
        run.machines.slice(first, end).map((machine, i) => (
          // A host may have several streams in an attempt; their order does not change.
          <tr key={`${machine.attempt} ${machine.host} ${first + i}`}>
            <td>{machine.host || "–"}</td>
            <td class="num">{machine.attempt}</td>
            <td class={machine.missing_us === null ? "" : styles.silent}>
              {machine.seen_us === null ? "–" : format.moment(machine.seen_us)}
              {machine.missing_us !== null && ` · ${text.missing}`}
              {machine.backlog_records > 0 && ` · ${text.waiting(format.count(machine.backlog_records))}`}
            </td>
          </tr>
        ))
      }
    </RowWindow>
  );
}

export function Overview({ run }: { run: Run }): JSX.Element {
  const configured = Object.keys(run.config).length > 0;
  return (
    <div class={styles.columns}>
      <Section title={text.summary}>
        <Summary run={run} />
      </Section>
      <Section title={text.config}>
        {configured ? <Tree value={run.config} /> : <p class="quiet">{text.noConfig}</p>}
      </Section>
      <div>
        <Section title={text.about}>
          <About run={run} />
        </Section>
        <Section title={text.machines}>
          <Machines run={run} />
        </Section>
        <Section title={text.attempts}>
          <Attempts run={run} />
        </Section>
      </div>
      <div class={styles.whole}>
        <Section title={t.writers.title}>
          <Writers run={run} />
        </Section>
      </div>
    </div>
  );
}
