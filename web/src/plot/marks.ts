/** Marks on the x axis: where an attempt begins, or a fork leaves its parent. */
import type { Attempt, Run, XKind } from "../data/types.ts";
import * as format from "../format.ts";
import { t } from "../strings.ts";

export interface Mark {
  readonly x: number;
  /** What happened there, in words. */
  readonly text: string;
}

/** How near the pointer has to come, in CSS pixels. */
const REACH_PX = 6;

/** The marks of a run on an axis; the first attempt begins where the run does, and needs none. */
export function marksOf(run: Pick<Run, "attempts" | "fork" | "started_us">, x: XKind): Mark[] {
  const fork = x === "step" && run.fork !== null ? [forkMark(run.fork)] : [];
  return [...fork, ...run.attempts.slice(1).flatMap((attempt) => attemptMark(attempt, run.started_us, x))];
}

function forkMark(fork: { run: string; step: number }): Mark {
  return { x: fork.step + 1, text: t.chart.forkedHere(fork.run, format.count(fork.step)) };
}

function attemptMark(attempt: Attempt, startedUs: number | null, x: XKind): Mark[] {
  const { attempt: ordinal, first_step: step, started_us: us } = attempt;
  if (x === "step") {
    return step === null
      ? []
      : [{ x: step, text: t.chart.attemptHere(ordinal, t.run.step(format.count(step))) }];
  }
  if (us === null) return [];
  const at = x === "wall" ? us / 1e6 : (us - (startedUs ?? us)) / 1e6;
  return [{ x: at, text: t.chart.attemptHere(ordinal, format.position(at, x)) }];
}

/** Those that the pointer is at. */
export function marksAt(marks: readonly Mark[], toLeft: (x: number) => number, left: number): Mark[] {
  return marks.filter((mark) => Math.abs(toLeft(mark.x) - left) <= REACH_PX);
}
