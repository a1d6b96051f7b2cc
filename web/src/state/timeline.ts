/** What happened to a run, from all that its document knows: events, attempts, and how its processes ended. */
import type { Event, Run } from "../data/types.ts";
import * as format from "../format.ts";
import { t } from "../strings.ts";

export type Level = Event["level"];
export const LEVELS: readonly Level[] = ["error", "warn", "info"];

const text = t.events;

/** Ends of single processes are told up to this many; the table of processes has all. */
const ENDS_MAX = 64;

type Bare = Pick<Event, "time_us" | "level" | "code" | "text"> & Partial<Pick<Event, "host" | "rank">>;

const event = (bare: Bare): Event => ({ host: null, rank: null, ...bare });

function attempts(run: Run): Event[] {
  return run.attempts.flatMap(({ attempt, started_us, first_step, state }) => {
    if (started_us === null) return [];
    const from = first_step === null ? null : format.count(first_step);
    const said = text.attempt(attempt, from, t.states[state] ?? state);
    return [event({ time_us: started_us, level: "info", code: "attempt", text: said })];
  });
}

const BAD: ReadonlySet<string> = new Set(["failed", "crashed", "killed"]);

function ends(run: Run): Event[] {
  const ended = run.writers.filter((writer) => (writer.ended_us ?? 0) > 0);
  // One process ends as its run does.
  if (run.writers.length === 1 || ended.length > ENDS_MAX) return [];
  return ended.map(({ ended_us, state, exit_code, host, rank }) => {
    const said = text.processEnded(t.states[state] ?? state, exit_code);
    const level = BAD.has(state) ? "warn" : "info";
    return event({
      time_us: ended_us ?? 0,
      level,
      code: "process_ended",
      text: said,
      host: host || null,
      rank,
    });
  });
}

function end(run: Run): Event[] {
  if (run.ended_us === null || run.state === "running") return [];
  const said = text.ended(t.states[run.state] ?? run.state, run.exit_code);
  const level = run.state === "finished" ? "info" : run.state === "killed" ? "warn" : "error";
  return [event({ time_us: run.ended_us, level, code: "run_ended", text: said })];
}

function stop({ stop }: Run): Event[] {
  if (stop === null) return [];
  const said = text.stop(t.tidings.vias[stop.via] ?? stop.via, stop.by);
  return [event({ time_us: stop.requested_us, level: "warn", code: "stop_requested", text: said })];
}

/** Everything, the newest first. */
export function timeline(run: Run): Event[] {
  const told = new Set(run.events.map(({ code }) => code));
  const known = [...attempts(run), ...ends(run), ...end(run), ...stop(run)];
  // What the server tells itself is not told twice.
  const all = [...known.filter(({ code }) => !told.has(code)), ...run.events];
  return all.toSorted((a, b) => a.time_us - b.time_us).toReversed();
}

/** Levels that a word of the address stands for; without one, all. */
export function levelsOf(word: string | null): ReadonlySet<Level> {
  const named = (word ?? "").split(",");
  const found = LEVELS.filter((level) => named.includes(level));
  return new Set(word === null ? LEVELS : found);
}

/** The word for these levels; null for all of them. */
export function levelsWord(levels: ReadonlySet<Level>): string | null {
  return levels.size === LEVELS.length ? null : LEVELS.filter((level) => levels.has(level)).join(",");
}
