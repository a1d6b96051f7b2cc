/** Our lines and uPlot's, in the same page, one after the other: ratios say more than times of a busy machine. */
import type { Browser } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, it } from "vitest";
import { launch } from "../e2e/harness.ts";
import type { compare, Drawing } from "./draw-page.ts";
import { report } from "./report.ts";

let browser: Browser;
let script: string;

beforeAll(async () => {
  const built = await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      cssCodeSplit: false,
      lib: { entry: `${import.meta.dirname}/draw-page.ts`, formats: ["iife"], name: "bench" },
    },
  });
  const [output] = [built].flat();
  if (output === undefined || !("output" in output)) throw new Error("nothing was built");
  const chunk = output.output.find((one) => one.type === "chunk");
  if (chunk?.type !== "chunk") throw new Error("no script was built");
  script = chunk.code;
  browser = await launch();
});
afterAll(async () => browser?.close());

const CASES: readonly (Drawing & { target: number })[] = [
  { runs: 20, points: 300, ownX: false, target: 0.6 },
  { runs: 100, points: 300, ownX: false, target: 0.6 },
  { runs: 100, points: 300, ownX: true, target: 0.15 },
];

it.each(CASES)("$runs runs of $points points, x of their own: $ownX", async ({ target, ...drawing }) => {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.setContent("<!doctype html><body></body>");
  await page.addScriptTag({ content: script });
  const { ours, uplot } = await page.evaluate(
    (given) => (window as unknown as { compare: typeof compare }).compare(given),
    drawing,
  );
  await page.close();
  const x = drawing.ownX ? "x of their own" : "one x for all";
  report({
    budget: "uPlot",
    what: `${drawing.runs} runs of ${drawing.points} points, ${x}: share of its time`,
    figure: ours / uplot,
    target,
    unit: "",
    kind: "gate",
    note: `${ours.toFixed(1)} ms, uPlot ${uplot.toFixed(1)} ms`,
  });
});
