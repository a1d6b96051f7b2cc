/** Marks at the edge for values that have no height: ◆ NaN and ▼ −Inf at the bottom, ▲ +Inf at the top. */
import type { Line } from "../plan.ts";
import type { Surface } from "./line.ts";

const SIZE_PX = 3.5;

export function drawBad(line: Line, to: Surface): void {
  const { context: c } = to;
  const { x, y } = line.bad;
  const s = SIZE_PX * to.ratio;
  c.beginPath();
  let before = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < x.length; i++) {
    const at = to.toX(x[i]!);
    if (at < to.left || at > to.left + to.width) continue;
    // Marks that would lie on each other are one mark.
    if (at - before < s && y[i]! === y[i - 1]!) continue;
    before = at;
    const top = y[i] === Number.POSITIVE_INFINITY;
    const middle = top ? to.top + s : to.top + to.height - s;
    shape(Number.isNaN(y[i]!) ? 0 : top ? -1 : 1, at, middle, s, to);
  }
  c.fill();
}

/** A diamond (0), or a triangle that points up (-1) or down (1). */
function shape(kind: -1 | 0 | 1, x: number, y: number, s: number, { context: c }: Surface): void {
  c.moveTo(x - s, kind === 0 ? y : y - kind * s);
  c.lineTo(x, kind === 0 ? y - s : y + kind * s);
  c.lineTo(x + s, kind === 0 ? y : y - kind * s);
  if (kind === 0) c.lineTo(x, y + s);
  c.lineTo(x - s, kind === 0 ? y : y - kind * s);
}
