/** The line of the filter language that holds for the runs of one group: pure. */
import type { Json } from "../data/types.ts";

/** A name or text in quotes. */
function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** A key as a line has it: `min(val/loss)` is an aggregate, everything else a name. */
function keyText(key: string): string {
  const found = /^(min|max|first|last|mean)\((.*)\)$/.exec(key);
  return found === null ? quoted(key) : `${found[1]}(${quoted(found[2] ?? "")})`;
}

/** The condition that a key has the value that a group has. */
function condition(key: string, value: Json): string {
  const name = keyText(key);
  if (value === null) return `${name}=null`;
  if (typeof value === "string") return `${name}=${quoted(value)}`;
  if (typeof value === "object" && !Array.isArray(value)) {
    const { $float, $int } = value as { readonly [key: string]: Json };
    // The word nan is the number and the text; the text is another group.
    if (typeof $float === "string") return `${name}=${$float} ${name}!=${quoted($float)}`;
    if (typeof $int === "string") return `${name}=\`${$int}\``;
  }
  return `${name}=\`${JSON.stringify(value).replaceAll("`", "\\u0060")}\``;
}

/** Runs of the group with these values of these keys, among those of a filter. */
export function groupFilter(filter: string, keys: readonly string[], values: readonly Json[]): string {
  const conditions = keys.map((key, i) => condition(key, values[i] ?? null));
  const line = filter.trim();
  return [...(line === "" ? [] : [`(${line})`]), ...conditions].join(" ");
}
