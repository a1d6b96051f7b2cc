/** Terms of the filter language (docs/filters.md) for what is shown of a run, so that it can be looked for. */
import type { Json } from "./types.ts";
import { isTree } from "./values.ts";

const PLAIN = /^[^-\s()",:=<>~!`][^\s()",:=<>~!`]*$/;

function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** The name of a place in the configs. */
export function configKey(path: readonly string[]): string {
  const name = path.join(".");
  return `config.${PLAIN.test(name) ? name : quoted(name)}`;
}

/** A value as the language has it: a number as a word, a text in quotes, anything else in backquotes. */
function valueText(value: Json): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  if (typeof value === "object" && value !== null && !Array.isArray(value) && !isTree(value)) {
    const { $float, $int } = value as { $float?: string; $int?: string };
    if ($float !== undefined) return $float;
    if ($int !== undefined) return $int;
  }
  return `\`${JSON.stringify(value).replaceAll("`", "\\u0060")}\``;
}

/** The term that holds for runs whose config has this value at this place. */
export function configTerm(path: readonly string[], value: Json): string {
  return `${configKey(path)}=${valueText(value)}`;
}
