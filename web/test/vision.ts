/** Colours as eyes see them: contrast as WCAG defines it, and distances under the kinds of colour blindness. */
import { readFileSync } from "node:fs";

export type Theme = 0 | 1;
type Vector = readonly number[];

const css = readFileSync(new URL("../src/tokens.css", import.meta.url), "utf8");
const tokens = new Map<string, readonly [string, string]>();
for (const [, name = "", light = "", dark = ""] of css.matchAll(
  /--([\w-]+): light-dark\((#\w+), (#\w+)\)/g,
)) {
  // The first one counts: those for `prefers-contrast` come later.
  if (!tokens.has(name)) tokens.set(name, [light, dark]);
}

/** A colour of tokens.css, light (0) or dark (1). */
export function token(name: string, theme: Theme): string {
  const value = tokens.get(name)?.[theme];
  if (value === undefined) throw new Error(`no token ${name}`);
  return value;
}

/** The eight colours of runs. */
export const dataColours = (theme: Theme): string[] =>
  [1, 2, 3, 4, 5, 6, 7, 8].map((slot) => token(`data-${slot}`, theme));

/** Channels from 0 to 255. */
export const rgb = (hex: string): number[] => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));

function linear(channels: Vector): number[] {
  return channels.map((v) => {
    const c = v / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
}

const times = (matrix: readonly Vector[], v: Vector): number[] =>
  matrix.map((row) => row.reduce((sum, factor, i) => sum + factor * (v[i] ?? 0), 0));

function luminance(channels: Vector): number {
  return times([[0.2126, 0.7152, 0.0722]], linear(channels))[0] ?? 0;
}

/** Contrast of two colours given by their channels: 1 to 21. */
export function contrast(a: Vector, b: Vector): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

/** What the eye makes of linear RGB: Machado, Oliveira and Fernandes 2009, severity 1. */
const VISIONS: Readonly<Record<string, readonly Vector[]>> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

/** OKLab of a colour as one of the visions has it. */
function seen(hex: string, vision: readonly Vector[]): number[] {
  const clipped = times(vision, linear(rgb(hex))).map((v) => Math.min(1, Math.max(0, v)));
  const cones = times(
    [
      [0.4122214708, 0.5363325363, 0.0514459929],
      [0.2119034982, 0.6806995451, 0.1073969566],
      [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    clipped,
  ).map(Math.cbrt);
  return times(
    [
      [0.2104542553, 0.793617785, -0.0040720468],
      [1.9779984951, -2.428592205, 0.4505937099],
      [0.0259040371, 0.7827717662, -0.808675766],
    ],
    cones,
  );
}

/** The distance of two colours (OKLab x 100) to whoever tells them apart worst. */
export function distance(a: string, b: string): number {
  const all = Object.values(VISIONS).map((vision) => {
    const other = seen(b, vision);
    return Math.hypot(...seen(a, vision).map((v, i) => v - (other[i] ?? 0)));
  });
  return 100 * Math.min(...all);
}

/** The smallest distance between any two colours. */
export function closest(colours: readonly string[]): number {
  return Math.min(...colours.flatMap((a, i) => colours.slice(0, i).map((b) => distance(a, b))));
}
