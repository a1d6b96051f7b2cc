/** Lists and windows as short text, for addresses: pure. */
import type { Range } from "../data/types.ts";

/** Items with commas between them; `~0` stands for a tilde and `~1` for a comma inside of an item. */
export function joinList(items: readonly string[]): string {
  return items.map((item) => item.replaceAll("~", "~0").replaceAll(",", "~1")).join(",");
}

export function splitList(text: string): string[] {
  const items = text.split(",").filter((item) => item !== "");
  return [...new Set(items.map((item) => item.replaceAll("~1", ",").replaceAll("~0", "~")))];
}

/** A window of x, as short as its width allows. */
export function rangeText([low, high]: Range): string {
  const digits = Math.min(15, Math.max(0, 3 - Math.floor(Math.log10(high - low))));
  return `${Number(low.toFixed(digits))}..${Number(high.toFixed(digits))}`;
}

/** Reads `lo..hi`; null for anything else. */
export function parseRange(text: string | null): Range | null {
  const [low, high, more] = (text ?? "")
    .split("..")
    .map((end) => (end.trim() === "" ? Number.NaN : Number(end)));
  if (low === undefined || high === undefined || more !== undefined) return null;
  return Number.isFinite(low) && Number.isFinite(high) && low < high ? [low, high] : null;
}
