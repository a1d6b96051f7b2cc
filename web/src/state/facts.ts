/** What is known of a run beside its values, in the words in which runs are compared. */
import type { Entry, Leaf } from "../data/leaves.ts";
import type { Json, Run } from "../data/types.ts";
import * as format from "../format.ts";
import { t } from "../strings.ts";

const text = t.facts;

/** Seconds from the start to the end, or to the last sign of life. */
function lasted(run: Run): number | null {
  const end = run.ended_us ?? run.heartbeat_us;
  return end === null ? null : (end - (run.started_us ?? run.created_us)) / 1e6;
}

/** The command line of a run's process, as far as it is known. */
export function commandOf({ metadata }: Pick<Run, "metadata">): string | null {
  const { program, args } = metadata;
  if (typeof program !== "string" || program === "") return null;
  const words = Array.isArray(args) ? args.map(String) : [];
  return [program, ...words].map((word) => (/[\s"']/.test(word) ? JSON.stringify(word) : word)).join(" ");
}

/** Members of the metadata that have a fact of their own. */
const KNOWN = [
  "program",
  "args",
  "python",
  "executable",
  "os",
  "host",
  "cpu_count",
  "cwd",
  "launcher",
  "job",
];

/** What a run's first process has said of itself and where it is; facts that it has not are left out. */
export function environment(run: Pick<Run, "metadata">): [string, Json][] {
  const { metadata } = run;
  const known: [string, Json | undefined][] = [
    [text.command, commandOf(run) ?? undefined],
    [text.folder, metadata.cwd],
    [text.python, metadata.python],
    [text.executable, metadata.executable],
    [text.os, metadata.os],
    [text.cpus, metadata.cpu_count],
    [text.launcher, metadata.launcher],
    [text.job, metadata.job],
  ];
  const others = Object.entries(metadata).filter(([name]) => !KNOWN.includes(name));
  return [...known, ...others].filter(
    (fact): fact is [string, Json] => fact[1] !== undefined && fact[1] !== "",
  );
}

function facts(run: Run): [string, Json | undefined][] {
  const seconds = lasted(run);
  const steps = run.writers.flatMap((w) => (w.last_step === null ? [] : [w.last_step]));
  return [
    [text.state, t.states[run.state] ?? run.state],
    [text.exit, run.exit_code ?? undefined],
    [text.created, format.moment(run.created_us)],
    [text.duration, seconds === null ? undefined : format.duration(seconds)],
    [text.step, steps.length === 0 ? undefined : Math.max(...steps)],
    [text.attempts, run.attempts.length],
    [text.processes, run.writers.length],
    [text.group, run.group || undefined],
    [text.jobType, run.job_type || undefined],
    [text.tags, run.tags.length === 0 ? undefined : run.tags],
    [text.notes, run.notes || undefined],
    [
      text.fork,
      run.fork === null ? undefined : `${run.fork.run} ${t.overview.forkedAt(format.count(run.fork.step))}`,
    ],
    [text.host, [...new Set(run.writers.flatMap((w) => (w.host ? [w.host] : [])))].join(", ") || undefined],
    ...environment(run),
  ];
}

/** Names of facts in the order in which they are told. */
const ORDER: readonly string[] = Object.values(text);

/** The facts of several runs in the order of one's; what only metadata has comes last. */
export function inOrder(entries: readonly Entry[]): Entry[] {
  const place = ({ path }: Entry): number => {
    const at = ORDER.indexOf(path[0] ?? "");
    return at < 0 ? ORDER.length : at;
  };
  return entries.toSorted((a, b) => place(a) - place(b));
}

/** What is known of a run beside its values; facts that it does not have are left out. */
export function factsOf(run: Run): Leaf[] {
  return facts(run).flatMap(([name, value]) => (value === undefined ? [] : [{ path: [name], value }]));
}
