/** Overview of a run: what went in (config), what came out (summary), and the facts around it. */
import type { ComponentChildren, JSX } from "preact";
import { lasted } from "../data/lasted.ts";
import type { Run } from "../data/types.ts";
import { leafText } from "../data/values.ts";
import * as format from "../format.ts";
import { environment } from "../state/facts.ts";
import { now } from "../state/live.ts";
import { routeHref } from "../state/router.ts";
import type { RunPage } from "../state/run.ts";
import { t } from "../strings.ts";
import { DayMark } from "../ui/day-mark.tsx";
import { Editable } from "../ui/editable.tsx";
import { RowWindow } from "../ui/row-window.tsx";
import { Tags } from "../ui/tags.tsx";
import { Config } from "./config.tsx";
import styles from "./overview.module.css";
import { Summary } from "./summary.tsx";
import { Writers } from "./writers.tsx";

const text = t.overview;

interface OverviewProps {
  run: Run;
  page: RunPage;
}

function Section({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  return (
    <section class={styles.section}>
      <h2>{title}</h2>
      {children}
    </section>
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

function About({ run, page }: OverviewProps): JSX.Element {
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
      <Fact name={facts.tags}>
        <Tags tags={run.tags} change={(made) => page.changeTags(made)} />
      </Fact>
      <Fact name={facts.notes}>
        <Editable
          id="edit-notes"
          label={t.edit.notes}
          value={run.notes ?? ""}
          version={run.edit_tag}
          lines
          save={(notes, version) => page.edit({ notes }, version)}
        >
          {run.notes ? (
            <span class={styles.notes}>{run.notes}</span>
          ) : (
            <span class="quiet">{text.noNotes}</span>
          )}
        </Editable>
      </Fact>
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
      {environment(run).map(([name, value]) => (
        <Fact key={name} name={name}>
          <span class={styles.environment}>{leafText(value)}</span>
        </Fact>
      ))}
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

export function Overview({ run, page }: OverviewProps): JSX.Element {
  return (
    <div class={styles.columns}>
      <div class={styles.main}>
        <Section title={text.summary}>
          <Summary run={run} page={page} />
        </Section>
        <Section title={text.config}>
          <Config run={run} page={page} />
        </Section>
      </div>
      <div>
        <Section title={text.about}>
          <About run={run} page={page} />
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
