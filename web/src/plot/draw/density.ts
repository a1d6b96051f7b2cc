/** Very many series as one field of shades: the more of them cross a cell, the darker it is. Under the lines. */
import { mix } from "../colour.ts";
import type { Density } from "../plan.ts";
import type { Surface } from "./line.ts";

const LEVELS = 12;

/** Shades from near the paper to `to`, the faintest first. */
export function shades(paper: string, to: string): string[] {
  return Array.from({ length: LEVELS }, (_, i) => mix(paper, to, 0.12 + (0.88 * i) / (LEVELS - 1)));
}

/** Which shade `n` of at most `most` series have: by log(1 + n), so that one alone is seen too. */
export function levelOf(n: number, most: number): number {
  return Math.min(LEVELS - 1, Math.floor((Math.log1p(n) / Math.log1p(most)) * LEVELS));
}

export function drawDensity(field: Density, colours: readonly string[], to: Surface): void {
  const { context: c } = to;
  const { first, width, columns, cells, counts, yRange } = field;
  const most = counts.reduce((a, b) => Math.max(a, b), 1);
  const height = (yRange[1] - yRange[0]) / cells || 1;
  const border = Float64Array.from({ length: cells + 1 }, (_, k) => to.toY(yRange[0] + k * height));
  const clamp = (x: number): number => Math.min(Math.max(x, to.left), to.left + to.width);
  // Shade by shade, and cells of one shade that lie on each other as one: few changes of colour, few rectangles.
  colours.forEach((colour, level) => {
    c.fillStyle = colour;
    for (let i = 0; i < columns; i++) {
      const left = clamp(to.toX((first + i) * width));
      const right = clamp(to.toX((first + i + 1) * width));
      if (right <= left) continue;
      for (let k = 0; k < cells; k++) {
        const begin = k;
        const own = (at: number): boolean => {
          const n = counts[i * cells + at] as number;
          return n > 0 && levelOf(n, most) === level;
        };
        while (k < cells && own(k)) k += 1;
        if (k === begin) continue;
        const [bottom, top] = [border[begin] as number, border[k] as number];
        if (Number.isFinite(bottom - top)) c.fillRect(left, top, right - left, Math.max(1, bottom - top));
      }
    }
  });
}

/** How many series cross the cell at a point; null outside of the field. */
export function countAt(field: Density, x: number, y: number): number | null {
  const { first, width, columns, cells, counts, yRange } = field;
  const i = Math.floor(x / width) - first;
  const k = Math.floor(((y - yRange[0]) / (yRange[1] - yRange[0] || 1)) * cells);
  if (i < 0 || i >= columns || k < 0 || k > cells) return null;
  return counts[i * cells + Math.min(k, cells - 1)] ?? null;
}
