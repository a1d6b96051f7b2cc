/** All projects of this server, the most recently active first. */
import type { JSX } from "preact";
import type { Project } from "../data/types.ts";
import * as format from "../format.ts";
import { now } from "../state/live.ts";
import type { ProjectsPage } from "../state/projects.ts";
import { routeHref } from "../state/router.ts";
import { t } from "../strings.ts";
import { CopyBlock } from "../ui/copy.tsx";
import { DayMark } from "../ui/day-mark.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import styles from "./projects.module.css";
import { Shell } from "./shell.tsx";

/** A first script; it carries this server's address unless that is the one every client tries by itself. */
export function snippet(serverUrl: string): string {
  const known = serverUrl === "http://127.0.0.1:8765";
  const start = known
    ? ['with buoy.init(project="first") as run:']
    : ["with buoy.init(", '    project="first",', `    settings={"base_url": "${serverUrl}"},`, ") as run:"];
  const body = ["    for step in range(100):", '        run.log({"loss": 1 / (step + 1)})'];
  return ["import buoy", "", ...start, ...body].join("\n");
}

function Row({ project }: { project: Project }): JSX.Element {
  const href = routeHref({ page: "workspace", entity: project.entity, project: project.name });
  const activity = project.last_activity_us;
  return (
    <tr>
      <td>
        <a class={styles.name} href={href}>
          {project.name}
        </a>
      </td>
      <td class="quiet">{project.entity}</td>
      <td class={styles.live}>
        {project.live > 0 ? (
          <span class={styles.dot}>
            <DayMark state="running" /> {format.count(project.live)}
          </span>
        ) : (
          <span class="quiet">–</span>
        )}
      </td>
      <td class="num">{format.count(project.runs)}</td>
      <td class={styles.when} title={format.moment(activity)}>
        {activity === null ? "–" : format.ago(now.value / 1000 - activity / 1e6)}
      </td>
      <td class={styles.when}>{format.shortMoment(project.created_us)}</td>
    </tr>
  );
}

function Table({ projects }: { projects: readonly Project[] }): JSX.Element {
  const order = projects.toSorted((a, b) => (b.last_activity_us ?? 0) - (a.last_activity_us ?? 0));
  return (
    <div class={styles.scroll}>
      <table class={styles.table}>
        <thead>
          <tr>
            <th scope="col">{t.projects.name}</th>
            <th scope="col">{t.projects.entity}</th>
            <th scope="col">{t.projects.live}</th>
            <th scope="col" class="num">
              {t.projects.runs}
            </th>
            <th scope="col" class={styles.when}>
              {t.projects.activity}
            </th>
            <th scope="col" class={styles.when}>
              {t.projects.created}
            </th>
          </tr>
        </thead>
        <tbody>
          {order.map((project) => (
            <Row key={project.id} project={project} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Empty(): JSX.Element {
  return (
    <Notice title={t.projects.empty}>
      <p>{t.projects.emptyHint}</p>
      <CopyBlock text={snippet(new URL(".", document.baseURI).href.replace(/\/$/, ""))} />
      <p class="quiet">{t.water.listening}</p>
    </Notice>
  );
}

export function ProjectsView({ page }: { page: ProjectsPage }): JSX.Element {
  const { value, error } = page.projects;
  const answer = value.value;
  return (
    <Shell crumbs={[]}>
      <h1 class={styles.title}>
        {t.projects.title}
        {answer !== null && answer.projects.length > 0 && (
          <span class={styles.total}>{answer.projects.length}</span>
        )}
      </h1>
      {answer === null && error.value !== null && (
        <Failure error={error.value} missing={t.errors.notFound} retry={() => page.projects.retry()} />
      )}
      {answer !== null && (answer.projects.length === 0 ? <Empty /> : <Table projects={answer.projects} />)}
    </Shell>
  );
}
