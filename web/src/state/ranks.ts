/** How the ranks of a run are shown in its charts: as one band, or as a line for each. Part of the URL. */
import { computed } from "@preact/signals";
import type { Machine, Writer } from "../data/types.ts";
import type { Line } from "../plot/plan.ts";
import { t } from "../strings.ts";
import { queryWord, setQuery } from "./router.ts";

export type RankMode = "band" | "lines";
export const RANK_MODES: readonly RankMode[] = ["band", "lines"];

/** With more ranks than that only some have a line, and the charts say so. */
export const RANK_LINES_MAX = 300;

export const rankMode = computed<RankMode>(() => (queryWord("ranks") === "lines" ? "lines" : "band"));

export function showRanks(mode: RankMode): void {
  setQuery({ ranks: mode === "lines" ? mode : null });
}

/** The ranks that have logged or will, and those of keys, ascending. */
export function ranksOf(writers: readonly Writer[], ofKeys: readonly number[] = []): number[] {
  return [...new Set([...writers.map((writer) => writer.rank ?? 0), ...ofKeys])].sort((a, b) => a - b);
}

/** What is asked of the server: null for a line for each rank, whichever there are. */
export function asked(ranks: readonly number[], mode: RankMode): "band" | readonly number[] | null {
  if (ranks.length < 2) return null;
  if (mode === "band") return "band";
  return ranks.length <= RANK_LINES_MAX ? null : spread(ranks, RANK_LINES_MAX);
}

/** `most` of the ranks, as evenly apart as can be, with the first and the last. */
export function spread(ranks: readonly number[], most: number): number[] {
  return Array.from(
    { length: most },
    (_, i) => ranks[Math.round((i * (ranks.length - 1)) / (most - 1))] as number,
  );
}

/** What is left out of charts with lines. */
export function leftOut(ranks: readonly number[], mode: RankMode): string | null {
  const some = mode === "lines" && ranks.length > RANK_LINES_MAX;
  return some ? t.chart.ranksAsLines(RANK_LINES_MAX, ranks.length) : null;
}

/** What a line of system metrics is called where there are several machines: by the machine, of the latest attempt first. */
export function machineName(machines: readonly Machine[], { rank }: Line): string | null {
  if (new Set(machines.map((machine) => machine.host)).size < 2) return null;
  const hosts = machines.filter((machine) => machine.rank === rank).map((machine) => machine.host || "?");
  return hosts.length === 0 ? t.chart.rank(rank) : [...new Set(hosts.toReversed())].join(", ");
}
