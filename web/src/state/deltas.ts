/** How a value differs from the baseline's, in words: by how much, in relation, and whether that is better. */
import type { Json } from "../data/types.ts";
import { cell } from "../data/values.ts";
import * as format from "../format.ts";
import { goalOf } from "./crosshair.ts";

export type Goal = -1 | 0 | 1;

export interface Delta {
  /** `▼ 0.057 −2.9 %`. */
  readonly text: string;
  readonly sense: "better" | "worse" | "";
}

/** Which way is better: as define_metric() said, else as far as the name tells. */
export function goalFor(key: string, said: string | null | undefined): Goal {
  if (said === "minimize") return -1;
  return said === "maximize" ? 1 : goalOf(key);
}

/** Null where there is nothing to tell: one of them is no finite number, or both are the same. */
export function deltaOf(value: Json | undefined, base: Json | undefined, goal: Goal): Delta | null {
  const [now, before] = [cell(value), cell(base)];
  if (now === undefined || before === undefined) return null;
  const by = now - before;
  if (!Number.isFinite(by) || by === 0) return null;
  const relative = relation(now, before);
  const sense = goal === 0 ? "" : by * goal > 0 ? "better" : "worse";
  return { text: relative === "" ? format.difference(by) : `${format.difference(by)} ${relative}`, sense };
}

/** `−2.9 %`, or `×2` from twice and half on; nothing where there is no relation, as to zero. */
function relation(now: number, before: number): string {
  if (before === 0) return "";
  const times = now / before;
  if (times >= 1.995 || (times > 0 && times <= 0.5)) return `×${format.number(times, 3)}`;
  const percent = ((now - before) / Math.abs(before)) * 100;
  const text = format.number(Math.abs(percent), 2);
  return `${percent > 0 ? "+" : "\u2212"}${text}\u2009%`;
}
