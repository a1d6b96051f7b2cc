import { describe, expect, it } from "vitest";
import type { ChartOptions, Picture } from "../src/plot/chart.ts";
import { csvField, csvOf, escaped, svgOf } from "../src/plot/export.ts";
import { plan } from "../src/plot/plan.ts";
import { mapping } from "../src/plot/scale.ts";
import { buckets, raw } from "./series.ts";

const HOSTILE = `"><script>alert(1)</script><img src=x onerror='alert(1)'>`;
const colours = { paper: "#fff", ink: "#000", ink3: "#666", rule: "#888", hair: "#eee", data: [] };

function picture(runs: number, more: Partial<Picture> = {}): Picture {
  const made = plan(
    Array.from({ length: runs }, (_, i) => raw([0, 10, 20], [i, i + 1, 5], { run: `r${i}` })),
    "step",
  );
  const options = {
    x: "step",
    scale: "linear",
    colours,
    strokes: () => made.lines.map(() => ({ colour: "#4687fc", dash: [6, 3], width: null, front: false })),
  } as unknown as ChartOptions;
  return {
    plan: made,
    view: [0, 20],
    yRange: [0, 6],
    yTicks: [0, 3, 6],
    y: mapping("linear", 1),
    options,
    ...more,
  };
}

describe("a chart as SVG", () => {
  it("is well formed and has a path for each line, whatever the runs are called", () => {
    const text = svgOf(picture(3), HOSTILE, (line) => `${HOSTILE}${line.run}\u0000`);
    const document = new DOMParser().parseFromString(text, "image/svg+xml");
    expect(document.querySelector("parsererror")).toBeNull();
    expect(document.querySelectorAll("script, img")).toHaveLength(0);
    expect(document.documentElement.textContent).toContain(`${HOSTILE}r2`);
    expect(document.querySelectorAll("g path[stroke='#4687fc'][stroke-dasharray='6 3']")).toHaveLength(3);
  });

  it("names twenty runs and counts the others", () => {
    const text = svgOf(picture(24), "loss", (line) => `run-${line.run}.`);
    expect(text).toContain("run-r19.");
    expect(text).not.toContain("run-r20.");
    expect(text).toContain("+ 4");
  });

  it("escapes everything that has a meaning in XML", () => {
    expect(escaped(`<a b="c">&\u0007`)).toBe("&lt;a b=&quot;c&quot;&gt;&amp;");
  });
});

describe("a chart as CSV", () => {
  it("has what is in view, buckets with their extent", () => {
    const made = plan([buckets(2, [1, 2, 3], { low: [0, 1, 2], high: [2, 3, 9] })], "step");
    const text = csvOf(picture(0, { plan: made, view: [0, 7] }), "loss", () => "night");
    expect(text.split("\r\n")).toEqual([
      "run,name,rank,key,step,value,min,max,n",
      "r,night,0,loss,1.5,1,0,2,4",
      "r,night,0,loss,5.5,2,1,3,4",
      "",
    ]);
  });

  it("quotes what has to be, and is no formula for a spreadsheet", () => {
    expect(csvField(`a,"b"\n`)).toBe(`"a,""b""\n"`);
    expect(csvField("=HYPERLINK(1)")).toBe("'=HYPERLINK(1)");
    expect(csvField("plain")).toBe("plain");
  });
});
