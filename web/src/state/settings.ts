/**
 * How panels are drawn, and which of them differ from the workspace: pure. A setting is looked for at the panel, then
 * at its section, then at the workspace; the nearest wins.
 */
import type { Range, Smoothing, XKind } from "../data/types.ts";
import type { Scale } from "../plot/scale.ts";
import { parseRange, rangeText } from "./words.ts";

/** `auto` is the step metric that a key was given by `define_metric()`, else the step. */
export type XChoice = XKind | "auto";

export interface Settings {
  readonly x: XChoice;
  readonly logX: boolean;
  readonly scale: Scale;
  /** The y axis leaves out what is far from the rest; ticks at the edge say that there is something. */
  readonly robust: boolean;
  /** Null = as it was logged. */
  readonly smooth: Smoothing | null;
  /** Whether the curve as it was logged is behind the smoothed one. */
  readonly raw: boolean;
}

/** What a panel or a section has of its own. */
export interface Own extends Partial<Settings> {
  /** Window of y; panels only. */
  readonly yRange?: Range;
}

export type Owns = ReadonlyMap<string, Own>;

export const panelOwner = (key: string): string => `p:${key}`;
export const sectionOwner = (name: string): string => `s:${name}`;

/** What a panel is drawn with. */
export function settingsOf(view: Settings, owns: Owns, section: string, key: string): Settings & Own {
  const ofSection = owns.get(sectionOwner(section));
  const ofPanel = owns.get(panelOwner(key));
  if (ofSection === undefined && ofPanel === undefined) return view;
  const { x, logX, scale, robust, smooth, raw } = view;
  return { x, logX, scale, robust, smooth, raw, ...ofSection, ...ofPanel };
}

/** The owner's settings with some changed; undefined takes one back, and an owner without any is none. */
export function withOwn(
  owns: Owns,
  owner: string,
  change: { readonly [name in keyof Own]: Own[name] | undefined },
): Owns {
  const merged = Object.entries({ ...owns.get(owner), ...change }).filter(([, value]) => value !== undefined);
  const next = new Map(owns);
  if (merged.length === 0) next.delete(owner);
  else next.set(owner, Object.fromEntries(merged));
  return next;
}

export const SMOOTHINGS = {
  twema: { max: 0.99, step: 0.01, first: 0.6 },
  ema: { max: 0.99, step: 0.01, first: 0.6 },
  gaussian: { max: 100, step: 1, first: 5 },
  running: { max: 1001, step: 2, first: 21 },
} as const satisfies Record<Smoothing["kind"], { max: number; step: number; first: number }>;

export const isSmoothingKind = (text: string): text is Smoothing["kind"] => Object.hasOwn(SMOOTHINGS, text);

/** One step stronger or weaker; weaker than the weakest is none at all. */
export function stepped(smooth: Smoothing | null, by: -1 | 1): Smoothing | null {
  if (smooth === null) return by < 0 ? null : { kind: "twema", s: 0.1 };
  const { kind, s } = smooth;
  const { max } = SMOOTHINGS[kind];
  const next =
    kind === "twema" || kind === "ema" ? Math.round((s + by * 0.1) * 100) / 100 : by > 0 ? s * 2 : s / 2;
  const least = kind === "running" ? 3 : kind === "gaussian" ? 1 : 0.005;
  if (next < least) return null;
  const whole = kind === "running" ? 2 * Math.floor(next / 2) + 1 : next;
  return { kind, s: Math.min(max, whole) };
}

/**
 * Where half of the weight of a time-weighted curve lies, in units of x: a weight falls by w = min(√s, 0.999) for each
 * thousandth of `span`.
 */
export function halfLife(s: number, span: number): number {
  const weight = Math.min(Math.sqrt(s), 0.999);
  return weight === 0 ? 0 : ((Math.LN2 / -Math.log(weight)) * span) / 1000;
}

/** The R of the formula: a power of two, so that it changes only when the longest run has doubled. */
export function smoothingSpan(longest: number): number {
  return longest > 0 && Number.isFinite(longest) ? 2 ** Math.ceil(Math.log2(longest)) : 1;
}

// Texts

/** Axes that every run has. */
export const X_KINDS = ["step", "rel", "proc", "wall"] as const;
const PLAIN_X = ["auto", ...X_KINDS] as const;

export function parseX(text: string): XChoice | null {
  const plain = PLAIN_X.find((x) => x === text);
  if (plain !== undefined) return plain;
  return text.startsWith("key:") && text.length > 4 ? (text as `key:${string}`) : null;
}

export function parseScale(text: string): Scale | null {
  return text === "1" || text === "log" ? "log" : text === "sym" ? "symlog" : text === "0" ? "linear" : null;
}

export const scaleText = (scale: Scale): string => ({ linear: "0", log: "1", symlog: "sym" })[scale];

export const smoothText = (smooth: Smoothing | null): string =>
  smooth === null ? "0" : `${smooth.kind}:${smooth.s}`;

/** Null is a curve as it was logged; undefined is no such text. */
export function parseSmooth(text: string): Smoothing | null | undefined {
  if (text === "0") return null;
  const [kind = "", s = ""] = text.split(":");
  const value = Number(s);
  if (!isSmoothingKind(kind) || s === "" || !(value > 0) || value > SMOOTHINGS[kind].max) return undefined;
  return { kind, s: kind === "running" ? Math.max(1, Math.round(value)) : value };
}

/** `owner|x=rel|logy=1`: what a panel or section has of its own; a bar in a name is `%7C`. */
export function ownText(owner: string, own: Own): string {
  const escaped = (text: string): string => text.replaceAll("%", "%25").replaceAll("|", "%7C");
  const said = [
    own.x === undefined ? null : `x=${own.x}`,
    own.logX === undefined ? null : `logx=${Number(own.logX)}`,
    own.scale === undefined ? null : `logy=${scaleText(own.scale)}`,
    own.robust === undefined ? null : `robust=${Number(own.robust)}`,
    own.smooth === undefined ? null : `smooth=${smoothText(own.smooth)}`,
    own.raw === undefined ? null : `raw=${Number(own.raw)}`,
    own.yRange === undefined ? null : `y=${rangeText(own.yRange)}`,
  ];
  return [owner, ...said.filter((word) => word !== null)].map(escaped).join("|");
}

export function parseOwn(text: string): [string, Own][] {
  const plain = (part: string): string => part.replaceAll("%7C", "|").replaceAll("%25", "%");
  const [owner = "", ...said] = text.split("|").map(plain);
  const own: { -readonly [name in keyof Own]?: Own[name] | undefined } = {};
  for (const word of said) {
    const at = word.indexOf("=");
    const [name, value] = [word.slice(0, at), word.slice(at + 1)];
    if (name === "x") own.x = parseX(value) ?? own.x;
    else if (name === "logx") own.logX = value === "1";
    else if (name === "logy") own.scale = parseScale(value) ?? own.scale;
    else if (name === "robust") own.robust = value === "1";
    else if (name === "smooth") own.smooth = parseSmooth(value) ?? null;
    else if (name === "raw") own.raw = value === "1";
    else if (name === "y") own.yRange = parseRange(value) ?? own.yRange;
  }
  const told = Object.entries(own).filter(([, value]) => value !== undefined);
  return /^[ps]:./s.test(owner) && told.length > 0 ? [[owner, Object.fromEntries(told)]] : [];
}
