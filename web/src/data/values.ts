/** How one logged value (of config or summary) reads: its text, and whether it is set as a number. */
import { exact, number } from "../format.ts";
import type { Json } from "./types.ts";

export interface Shown {
  text: string;
  numeric: boolean;
}

const FLOATS: Record<string, string> = { nan: "NaN", inf: "+Inf", "-inf": "\u2212Inf" };

type Obj = { readonly [key: string]: Json };

/** True for a JSON object that is a mapping of the user, not the server's stand-in for one number. */
export function isTree(value: Json | undefined): value is Obj {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && special(value as Obj) === null
  );
}

/** The text of `{"$float": …}` or `{"$int": …}`, null for any other object. */
function special(value: Obj): string | null {
  const float = value.$float;
  if (typeof float === "string") return FLOATS[float] ?? float;
  const int = value.$int;
  return typeof int === "string" ? int : null;
}

/** `brief` keeps five significant digits (tables that are scanned); without it nothing is lost. */
export function show(value: Json | undefined, brief = false): Shown {
  if (value === undefined || value === null) return { text: value === null ? "null" : "", numeric: false };
  if (typeof value === "number") return { text: brief ? number(value) : exact(value), numeric: true };
  if (typeof value === "string") return { text: value, numeric: false };
  if (typeof value === "boolean") return { text: String(value), numeric: false };
  if (Array.isArray(value)) {
    return { text: `[${value.map((item: Json) => show(item, brief).text).join(", ")}]`, numeric: false };
  }
  const number_ = special(value as Obj);
  return number_ === null
    ? { text: JSON.stringify(value), numeric: false }
    : { text: number_, numeric: true };
}

/** The text of a value for a place where nothing must look like nothing: an empty text is shown as one. */
export function leafText(value: Json): string {
  if (value === "") return '""';
  return isTree(value) ? JSON.stringify(value) : show(value).text;
}

/** A cell of a runs table as a number; NaN and the infinities come in disguise. Undefined for what is no number. */
export function cell(value: Json | undefined): number | undefined {
  if (typeof value === "number") return value;
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { $float, $int } = value as Obj;
  if (typeof $int === "string") return Number($int);
  return $float === "nan"
    ? Number.NaN
    : $float === "inf"
      ? Infinity
      : $float === "-inf"
        ? -Infinity
        : undefined;
}
