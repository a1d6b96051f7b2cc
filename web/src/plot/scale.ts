/** How values become heights: pure. */
import type { Range } from "../data/types.ts";

/** `symlog` is linear around zero and logarithmic beyond, so that it shows every finite value. */
export type Scale = "linear" | "log" | "symlog";

/** A scale with what it needs to know of the data. */
export interface Mapping {
  readonly forward: (v: number) => number;
  readonly backward: (v: number) => number;
}

/** `threshold` is where a symlog axis goes over from linear to logarithmic; above 0. */
export function mapping(scale: Scale, threshold: number): Mapping {
  if (scale === "linear") return { forward: (v) => v, backward: (v) => v };
  if (scale === "log")
    return { forward: (v) => Math.log10(Math.max(v, Number.MIN_VALUE)), backward: (v) => 10 ** v };
  return {
    forward: (v) => Math.asinh(v / threshold),
    backward: (v) => Math.sinh(v) * threshold,
  };
}

/** Below 1e-6 of the largest value all is close to zero, whatever there is. */
const SMALLEST_SHARE = 1e-6;

/** The power of ten below the smallest size that is not zero, within reason. */
export function symlogThreshold(smallest: number, largest: number): number {
  if (!(largest > 0) || !Number.isFinite(largest)) return 1;
  const size = Math.max(Math.min(smallest, largest), largest * SMALLEST_SHARE);
  return 10 ** Math.floor(Math.log10(size) + 1e-9);
}

/** Ticks of a log axis: at most five powers of ten in range; with fewer than three of them also 2 and 5 between. */
export function logTicks(low: number, high: number): number[] {
  const inside = (v: number): boolean => v >= low && v <= high;
  const from = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - from + 1 }, (_, i) => 10 ** (from + i));
  const decades = powers.filter(inside);
  if (decades.length < 3) return powers.flatMap((d) => [d, 2 * d, 5 * d]).filter(inside);
  const every = Math.ceil(decades.length / 5);
  return decades.filter((_, i) => i % every === 0);
}

/** Zero, and powers of ten on both sides from the threshold on: at most seven. */
export function symlogTicks([low, high]: Range, threshold: number): number[] {
  const side = (end: number): number[] => {
    if (end < threshold) return [];
    const decades = Math.floor(Math.log10(end / threshold) + 1e-9) + 1;
    const every = Math.ceil(decades / 3);
    return Array.from({ length: decades }, (_, i) => threshold * 10 ** i)
      .reverse()
      .filter((_, i) => i % every === 0)
      .reverse();
  };
  const below = side(-low).map((v) => -v);
  return [...below.reverse(), 0, ...side(high)].filter((v) => v >= low && v <= high);
}
