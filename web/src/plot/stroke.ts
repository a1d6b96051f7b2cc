/** How the lines of a plan look: one stroke for each, in the order of the plan. */
import { rankColour } from "./colour.ts";
import type { Plan } from "./plan.ts";

export interface Stroke {
  readonly colour: string;
  /** CSS pixels on and off; none = solid. */
  readonly dash: readonly number[];
  /** CSS pixels; null = what suits the number of lines. */
  readonly width: number | null;
  /** Drawn over the others, on a halo of paper, so that it never melts into its neighbours. */
  readonly front: boolean;
}

/** Lines of one run: ranks are shades of the run's colour, whatever the attempt. */
export function rankStrokes(plan: Plan, colour: string, ink: string): Stroke[] {
  const ranks = [...new Set(plan.lines.map((line) => line.rank))].sort((a, b) => a - b);
  return plan.lines.map((line) => ({
    colour: rankColour(colour, ink, ranks.indexOf(line.rank), ranks.length),
    dash: [],
    width: null,
    front: false,
  }));
}
