/**
 * What was measured against what was promised: a line for each figure as it comes, all of them as a table in the end,
 * and as JSON for whoever compares commits (.bench/web/figures.json).
 *
 * A gate fails when its figure is over the target, a figure that is only tracked when it is over one and a half of it.
 */
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { REPOSITORY } from "../e2e/harness.ts";

export const FOLDER = join(REPOSITORY, ".bench/web");
const LINES = join(FOLDER, "figures.jsonl");
const TRACKED_FACTOR = 1.5;

export interface Figure {
  /** Of the budget, B1 to B22, or `uPlot`. */
  readonly budget: string;
  readonly what: string;
  readonly figure: number;
  readonly target: number;
  readonly unit: string;
  readonly kind: "gate" | "tracked";
  /** What else belongs to the figure: a cold one, a share of it. */
  readonly note?: string;
}

const limit = ({ target, kind }: Figure): number => (kind === "gate" ? target : TRACKED_FACTOR * target);
const met = (figure: Figure): boolean => figure.figure <= limit(figure);

function line(figure: Figure): string {
  const { budget, what, unit, target, kind, note } = figure;
  const digits = figure.figure < 10 ? 2 : figure.figure < 100 ? 1 : 0;
  const verdict = met(figure) ? (figure.figure <= target ? "met" : "near") : "MISSED";
  return [
    budget.padEnd(6),
    what.padEnd(64),
    `${figure.figure.toFixed(digits)} ${unit}`.padStart(12),
    `<= ${target} ${unit}`.padStart(14),
    kind.padEnd(8),
    verdict.padEnd(7),
    note ?? "",
  ].join(" ");
}

/** Prints a figure; if it breaks its budget the command fails in the end, when all have been taken. */
export function report(figure: Figure): void {
  appendFileSync(LINES, `${JSON.stringify(figure)}\n`);
  process.stdout.write(`  ${line(figure)}\n`);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The smallest value that at least this share of them does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

const load = (): string =>
  loadavg()
    .map((average) => average.toFixed(1))
    .join(" ");

/** Vitest's global set-up: before the first and after the last measurement. */
export function setup(): () => void {
  mkdirSync(FOLDER, { recursive: true });
  rmSync(LINES, { force: true });
  const before = load();
  process.stdout.write(`\n  ${cpus().length} cores, load ${before}\n`);
  return () => {
    const text = existsSync(LINES) ? readFileSync(LINES, "utf8").trim() : "";
    const figures = text === "" ? [] : text.split("\n").map((one) => JSON.parse(one) as Figure);
    const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      cwd: REPOSITORY,
      encoding: "utf8",
    });
    const where = { commit: commit.trim(), cores: cpus().length, load_before: before, load_after: load() };
    writeFileSync(join(FOLDER, "figures.json"), `${JSON.stringify({ ...where, figures }, null, 1)}\n`);
    const missed = figures.filter((figure) => !met(figure)).length;
    if (missed > 0) process.exitCode = 1;
    process.stdout.write(`\n  ${figures.map(line).join("\n  ")}\n`);
    process.stdout.write(
      "  B18 to B22 are about logs, media, parallel coordinates, importance and lineage,\n",
    );
    process.stdout.write("  which this dashboard does not have.\n");
    process.stdout.write(
      `  ${figures.length} figures, ${missed} missed; load ${before} before, ${load()} after\n`,
    );
  };
}

export default setup;
