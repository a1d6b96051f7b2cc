/** One run: its head, its tabs, and the tab that is open. */
import type { JSX } from "preact";
import { lasted } from "../data/lasted.ts";
import type { Run } from "../data/types.ts";
import * as format from "../format.ts";
import { now } from "../state/live.ts";
import { routeHref, withQuery } from "../state/router.ts";
import { type RunPage, TABS, tab } from "../state/run.ts";
import { t } from "../strings.ts";
import { Boundary } from "../ui/boundary.tsx";
import { Confirm } from "../ui/confirm.tsx";
import { DayMark } from "../ui/day-mark.tsx";
import { Editable } from "../ui/editable.tsx";
import { Icon } from "../ui/icons.tsx";
import { lazy } from "../ui/lazy.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { ChartsTab, SystemTab } from "./charts.tsx";
import { EventsTab, told } from "./events.tsx";
import styles from "./run.module.css";
import { Shell } from "./shell.tsx";
import { Tidings } from "./tidings.tsx";

const Overview = lazy(async () => (await import("./overview.tsx")).Overview);

function Facts({ run, page }: { run: Run; page: RunPage }): JSX.Element {
  const live = run.state === "running";
  const seconds = lasted(run.started_us ?? run.created_us, run.ended_us, live, live ? now.value : 0);
  const step = page.step.value;
  return (
    <p class={styles.facts}>
      <span>
        {t.states[run.state] ?? run.state}
        {run.archived && `, ${t.archive.archived}`}
        {run.stop !== null && (run.stop.open ? t.stop.open(live) : t.stop.byRequest)}
      </span>
      {seconds !== null && <span class="mono">{format.duration(seconds)}</span>}
      {step !== null && <span class="mono">{t.run.step(format.count(step))}</span>}
    </p>
  );
}

function Deeds({ run, page }: { run: Run; page: RunPage }): JSX.Element {
  const text = t.deletion;
  return (
    <div class={styles.deeds}>
      {run.state === "running" && run.stop === null && (
        <Confirm
          label={t.stop.button}
          title={t.stop.title(run.name)}
          onConfirm={() => void page.requestStop()}
        >
          {t.stop.text}
        </Confirm>
      )}
      <button type="button" title={t.archive.hint} onClick={() => void page.archive(!run.archived)}>
        {run.archived ? t.archive.undo : t.archive.button}
      </button>
      <Confirm label={text.button} title={text.title(run.name)} onConfirm={() => void page.delete()}>
        {text.text}
      </Confirm>
    </div>
  );
}

function Deleted({ page }: { page: RunPage }): JSX.Element {
  const error = page.deedError.value;
  return (
    <Notice title={t.deletion.deleted} whole>
      <p>{t.deletion.restorable}</p>
      {error !== null && <p>{t.tidings.notDone(error.message)}</p>}
      <button type="button" onClick={() => void page.restore()}>
        {t.deletion.restore}
      </button>
    </Notice>
  );
}

function BesideLink({ page, end }: { page: RunPage; end: "before" | "after" }): JSX.Element | null {
  const run = page.beside.found.value?.[end] ?? null;
  if (run === null) return null;
  const { entity, project } = page;
  const open = tab.value === "charts" ? "" : `?tab=${tab.value}`;
  const label = t.run[end](run.name);
  return (
    <a
      class={styles.neighbour}
      href={routeHref({ page: "run", entity, project, run: run.id }) + open}
      aria-label={label}
      title={label}
      data-beside={end}
    >
      {end === "before" && <Icon name="left" />}
      <span>{run.name}</span>
      {end === "after" && <Icon name="right" />}
    </a>
  );
}

function Tabs({ run, page }: { run: Run; page: RunPage }): JSX.Element {
  return (
    <div class={styles.tabs}>
      <TabLinks run={run} />
      <nav class={styles.beside} aria-label={t.run.besideLabel}>
        <BesideLink page={page} end="before" />
        <BesideLink page={page} end="after" />
      </nav>
    </div>
  );
}

function TabLinks({ run }: { run: Run }): JSX.Element {
  const count = told(run);
  return (
    <nav class={styles.row} aria-label={t.run.tabsLabel}>
      {TABS.map((name) => (
        <a
          key={name}
          class={styles.tab}
          // A zoom is in the units of one tab's x axis, so it does not travel.
          href={withQuery({ tab: name === "charts" ? null : name, range: null })}
          aria-current={tab.value === name ? "page" : undefined}
        >
          {t.run.tabs[name]}
          {name === "events" && count > 0 && <span class={styles.count}>{format.count(count)}</span>}
        </a>
      ))}
    </nav>
  );
}

function Content({ page, run }: { page: RunPage; run: Run }): JSX.Element {
  if (tab.value === "overview") return <Overview run={run} page={page} />;
  if (tab.value === "events") return <EventsTab run={run} />;
  return tab.value === "system" ? <SystemTab page={page} /> : <ChartsTab page={page} />;
}

export function RunView({ page }: { page: RunPage }): JSX.Element {
  const run = page.run.value.value;
  const error = page.run.error.value;
  const name = run?.name ?? page.id;
  const crumbs = [
    { text: page.project, to: { page: "workspace", entity: page.entity, project: page.project } as const },
    { text: name, to: null },
  ];
  return (
    <Shell crumbs={crumbs}>
      {page.deleted.value && <Deleted page={page} />}
      {run === null && error !== null && !page.deleted.value && (
        <Failure error={error} missing={t.errors.noRun} whole retry={() => page.run.retry()} />
      )}
      {run !== null && !page.deleted.value && (
        <>
          <div class={styles.head}>
            <h1 class={styles.name}>
              <DayMark state={run.state} />
              <Editable
                id="edit-name"
                label={t.edit.name}
                value={name}
                version={run.edit_tag}
                save={(text, version) => page.edit({ name: text }, version)}
              >
                <span>{name}</span>
              </Editable>
            </h1>
            <Facts run={run} page={page} />
            <Deeds run={run} page={page} />
          </div>
          <Tidings run={run} page={page} />
          <Tabs run={run} page={page} />
          <Boundary key={tab.value}>
            <Content page={page} run={run} />
          </Boundary>
        </>
      )}
    </Shell>
  );
}
