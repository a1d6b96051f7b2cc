// @vitest-environment node
/** Recomputes the contrasts that the design promises from tokens.css itself. */
import { describe, expect, it } from "vitest";
import { mix, rankColour } from "../src/plot/colour.ts";
import { contrast, rgb, type Theme, token } from "./vision.ts";

/** Contrast on paper and on surface, light and then dark, as the table of the design has them. */
const TABLE = {
  ink: [15.7, 16.5, 15.3, 13.7],
  "ink-2": [7.1, 7.5, 8.7, 7.8],
  "ink-3": [4.8, 5.1, 5.7, 5.1],
  rule: [3.2, 3.4, 3.4, 3.1],
  signal: [4.8, 5.1, 7.8, 6.9],
  link: [5.8, 6.1, 8.9, 8.0],
  running: [4.7, 5.0, 8.6, 7.7],
  ok: [4.8, 5.0, 8.8, 7.8],
  warn: [5.6, 5.9, 9.2, 8.2],
  bad: [6.2, 6.5, 8.0, 7.1],
};
/** What a figure with one digit after the point leaves open. */
const ROUNDED = 0.055;

const both = [0, 1] as const;

const on = (name: string, back: string, theme: Theme): number =>
  contrast(rgb(token(name, theme)), rgb(token(back, theme)));

const css = (hex: string): string => `rgb(${rgb(hex).join(", ")})`;

describe("the table of contrasts", () => {
  it.each(Object.entries(TABLE))("%s", (name, expected) => {
    const found = both.flatMap((theme) => [on(name, "paper", theme), on(name, "surface", theme)]);
    found.forEach((ratio, i) => {
      expect(Math.abs(ratio - (expected[i] ?? 0)), `${name} ${ratio}`).toBeLessThan(ROUNDED);
    });
    expect(expected).toHaveLength(found.length);
  });

  it("holds for what has one figure a theme", () => {
    const worst = (name: string, theme: Theme): string =>
      Math.min(on(name, "paper", theme), on(name, "surface", theme)).toFixed(1);
    expect([worst("better", 0), worst("worse", 0)]).toEqual(["5.8", "6.5"]);
    expect([worst("better", 1), worst("worse", 1)]).toEqual(["7.9", "7.8"]);
    expect([on("hair", "paper", 0).toFixed(1), on("hair", "paper", 1).toFixed(1)]).toEqual(["1.3", "1.4"]);
  });

  it("holds on a selected row", () => {
    const found = both.flatMap((theme) =>
      ["ink", "ink-2"].map((name) => on(name, "selected", theme).toFixed(1)),
    );
    expect(found).toEqual(["14.1", "6.4", "10.4", "6.0"]);
  });
});

describe.each([
  ["light", 0],
  ["dark", 1],
] as const)("tokens, %s", (_name, theme) => {
  it.each(["ink", "ink-2", "ink-3", "signal", "link", "running", "ok", "warn", "bad", "better", "worse"])(
    "%s reads as text",
    (name) => {
      expect(on(name, "paper", theme)).toBeGreaterThanOrEqual(4.5);
      expect(on(name, "surface", theme)).toBeGreaterThanOrEqual(4.5);
    },
  );

  it.each(["rule", "data-1", "data-2", "data-3", "data-4", "data-5", "data-6", "data-7", "data-8"])(
    "%s can be seen as a line",
    (name) => {
      expect(on(name, "paper", theme)).toBeGreaterThanOrEqual(3);
      expect(on(name, "surface", theme)).toBeGreaterThanOrEqual(3);
    },
  );

  it("keeps every rank's shade visible, and the ends apart", () => {
    const base = css(token("data-1", theme));
    const ink = css(token("ink", theme));
    const paper = rgb(token("paper", theme));
    const shades = Array.from({ length: 8 }, (_, i) => rankColour(base, ink, i, 8));
    const channels = shades.map((shade) => (shade.match(/\d+/g) ?? []).map(Number));
    for (const shade of channels) expect(contrast(shade, paper)).toBeGreaterThanOrEqual(3);
    expect(new Set(shades).size).toBe(8);
    expect(shades[0]).toBe(base);
  });
});

it("mixes from one colour to the other", () => {
  expect(mix("rgb(0, 100, 200)", "rgb(100, 100, 0)", 0.5)).toBe("rgb(50, 100, 100)");
});
