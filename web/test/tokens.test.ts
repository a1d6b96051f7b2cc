// @vitest-environment node
/** Recomputes the contrasts that the design promises from tokens.css itself. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { mix, rankColour } from "../src/plot/colour.ts";

const css = readFileSync(new URL("../src/tokens.css", import.meta.url), "utf8");
const tokens = new Map<string, [string, string]>();
for (const [, name = "", light = "", dark = ""] of css.matchAll(
  /--([\w-]+): light-dark\((#\w+), (#\w+)\)/g,
)) {
  if (!tokens.has(name)) tokens.set(name, [light, dark]);
}

const rgb = (hex: string): number[] => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));
const css_ = (hex: string): string => `rgb(${rgb(hex).join(", ")})`;

function luminance(channels: number[]): number {
  const [r = 0, g = 0, b = 0] = channels.map((v) => {
    const c = v / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: number[], b: number[]): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

const token = (name: string, theme: number): string => {
  const value = tokens.get(name)?.[theme];
  if (value === undefined) throw new Error(`no token ${name}`);
  return value;
};

describe.each([
  ["light", 0],
  ["dark", 1],
] as const)("tokens, %s", (_name, theme) => {
  const on = (name: string, back: string): number =>
    contrast(rgb(token(name, theme)), rgb(token(back, theme)));

  it.each(["ink", "ink-2", "ink-3", "signal", "link", "running", "ok", "warn", "bad", "better", "worse"])(
    "%s reads as text",
    (name) => {
      expect(on(name, "paper")).toBeGreaterThanOrEqual(4.5);
      expect(on(name, "surface")).toBeGreaterThanOrEqual(4.5);
    },
  );

  it.each(["rule", "data-1", "data-2", "data-3", "data-4", "data-5", "data-6", "data-7", "data-8"])(
    "%s can be seen as a line",
    (name) => {
      expect(on(name, "paper")).toBeGreaterThanOrEqual(3);
    },
  );

  it("keeps every rank's shade visible, and the ends apart", () => {
    const base = css_(token("data-1", theme));
    const ink = css_(token("ink", theme));
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
