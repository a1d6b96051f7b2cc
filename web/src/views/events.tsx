/** Events of a run: what its processes, their daemons and the server have to tell, the newest first. */
import { computed } from "@preact/signals";
import type { JSX } from "preact";
import type { Event, Gap, Run } from "../data/types.ts";
import * as format from "../format.ts";
import { queryWord, setQuery } from "../state/router.ts";
import { LEVELS, type Level, levelsOf, levelsWord, timeline } from "../state/timeline.ts";
import { t } from "../strings.ts";
import styles from "./events.module.css";

const text = t.events;

/** The machine and the rank of an event, as far as it has them. */
export function placeOf({ host, rank }: Pick<Event, "host" | "rank">): string {
  const places = [...(host ? [host] : []), ...(rank === null ? [] : [t.chart.rank(rank)])];
  return places.join(", ");
}

function Row({ event }: { event: Event }): JSX.Element {
  return (
    <tr>
      <td class={styles.when}>{event.time_us > 0 ? format.moment(event.time_us) : "–"}</td>
      <td class={styles[event.level]}>{text.levels[event.level] ?? event.level}</td>
      <td class={styles.text}>{event.text}</td>
      <td class={styles.place}>{placeOf(event)}</td>
      <td class={styles.code}>
        <code>{event.code}</code>
      </td>
    </tr>
  );
}

function Gaps({ gaps }: { gaps: readonly Gap[] }): JSX.Element {
  return (
    <section class={styles.gaps}>
      <h2>{text.gaps}</h2>
      <ul>
        {gaps.map((gap) => (
          <li key={`${gap.first_seq} ${gap.text}`}>
            <span class={styles.error}>{text.gap(gap.records, format.count(gap.records))}</span>{" "}
            <span class={styles.where}>{gap.text}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** How many things the tab has to tell that are not in the course of things. */
export function told(run: Run): number {
  return run.events.length + run.gaps.length;
}

function Levels({ events }: { events: readonly Event[] }): JSX.Element {
  const shown = levels.value;
  const toggle = (level: Level): void => {
    const next = new Set(shown);
    if (!next.delete(level)) next.add(level);
    setQuery({ levels: levelsWord(next) }, true);
  };
  return (
    <fieldset class={styles.levels}>
      <legend class="vh">{text.filter}</legend>
      {LEVELS.map((level) => (
        <label key={level}>
          <input type="checkbox" checked={shown.has(level)} onChange={() => toggle(level)} />
          <span class={styles[level]}>{text.levels[level] ?? level}</span>
          <span class={styles.count}>
            {format.count(events.filter((event) => event.level === level).length)}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

const levels = computed(() => levelsOf(queryWord("levels")));

export function EventsTab({ run }: { run: Run }): JSX.Element {
  const events = timeline(run);
  const shown = events.filter((event) => levels.value.has(event.level));
  if (events.length + run.gaps.length === 0) return <p class={styles.none}>{text.none}</p>;
  return (
    <>
      {run.gaps.length > 0 && <Gaps gaps={run.gaps} />}
      <Levels events={events} />
      {shown.length === 0 && <p class={styles.none}>{text.noneOfLevel}</p>}
      {shown.length > 0 && (
        <table class={styles.table}>
          <thead>
            <tr>
              <th scope="col">{text.time}</th>
              <th scope="col">{text.level}</th>
              <th scope="col">{text.what}</th>
              <th scope="col">{text.where}</th>
              <th scope="col" class={styles.code}>
                {text.code}
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((event, i) => (
              <Row key={`${event.time_us} ${event.code} ${shown.length - i}`} event={event} />
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
