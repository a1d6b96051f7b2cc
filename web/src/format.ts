/**
 * Numbers, durations and dates as the pages write them. Values keep five significant digits, thousands are set
 * apart by a thin space, minus is U+2212; `exact` loses nothing. Powers of ten in superscript belong to axes only.
 */
import { keyOfX, type XKind } from "./data/types.ts";
import { t } from "./strings.ts";

const THIN = "\u2009";
const MINUS = "\u2212";

/** Puts thin spaces between the thousands of a string of digits. */
function grouped(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** Cuts the zeros that say nothing off a decimal fraction. */
function trimmed(fixed: string): string {
  return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
}

function nonFinite(v: number): string {
  return Number.isNaN(v) ? "NaN" : v > 0 ? "+Inf" : `${MINUS}Inf`;
}

/** A value for tables and titles: five significant digits; `1.2e-5` beyond 1e-4 and 1e7, which can be copied. */
export function number(v: number, digits = 5): string {
  if (!Number.isFinite(v)) return nonFinite(v);
  if (v === 0) return "0";
  const size = Math.abs(v);
  const sign = v < 0 ? MINUS : "";
  if (Number.isInteger(v) && size < 1e9) return sign + grouped(String(size));
  if (size >= 1e7 || size < 1e-4) {
    const [mantissa = "", exponent = "0"] = size.toExponential(digits - 1).split("e");
    return `${sign}${trimmed(mantissa)}e${Number(exponent)}`;
  }
  const [whole = "", fraction] = trimmed(Number(size.toPrecision(digits)).toFixed(12)).split(".");
  return sign + grouped(whole) + (fraction === undefined ? "" : `.${fraction}`);
}

/** A whole number with thin spaces: steps, counts. */
export function count(v: number): string {
  return (v < 0 ? MINUS : "") + grouped(String(Math.abs(Math.trunc(v))));
}

/**
 * The shortest text that reads back as the same value. A value that was born as float32 is written with the
 * digits of a float32 (0.1, not 0.10000000149011612), which still identify it.
 */
export function exact(v: number): string {
  if (!Number.isFinite(v)) return nonFinite(v);
  let text = String(Math.abs(v));
  // Twelve characters and more are what the digits of a double make of a float32; shorter ones are plain.
  if (Math.fround(v) === v && text.length > 12) {
    for (let digits = 6; digits <= 9; digits++) {
      const short = Number(v.toPrecision(digits));
      if (Math.fround(short) === v) {
        text = String(Math.abs(short));
        break;
      }
    }
  }
  const [whole = "", fraction] = text.split(".");
  const head = /^\d+$/.test(whole) ? grouped(whole) : whole;
  return (v < 0 ? MINUS : "") + head + (fraction === undefined ? "" : `.${fraction}`);
}

const SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function superscript(n: number): string {
  const digits = [...String(Math.abs(n))].map((d) => SUPER[Number(d)] ?? d).join("");
  return (n < 0 ? "⁻" : "") + digits;
}

const SI: readonly (readonly [number, string])[] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

/**
 * A tick label: SI above a thousand, ×10⁻⁵ below 1e-3. `step` is the distance of ticks and sets the digits;
 * `largest` is the size of the axis's largest tick and sets the notation, which all ticks share.
 */
export function tick(v: number, step: number, largest = Math.abs(v)): string {
  if (v === 0) return "0";
  const size = Math.abs(v);
  const sign = v < 0 ? MINUS : "";
  const decimals = (unit: number): number => decimalsOf(Math.abs(step) / unit);
  if (largest >= 1e15 || largest < 1e-3) {
    const power = Math.floor(Math.log10(size) + 1e-9);
    const mantissa = trimmed((size / 10 ** power).toFixed(Math.min(4, decimals(10 ** power))));
    return mantissa === "1" ? `${sign}10${superscript(power)}` : `${sign}${mantissa}×10${superscript(power)}`;
  }
  for (const [unit, letter] of SI) {
    if (size >= unit) return `${sign}${trimmed((size / unit).toFixed(decimals(unit)))}${letter}`;
  }
  return sign + trimmed(size.toFixed(decimals(1)));
}

/** Decimals that write a distance of ticks exactly (2.5 needs one), nine at most: fewer would round neighbours. */
function decimalsOf(distance: number): number {
  for (let decimals = 0; decimals < 9; decimals++) {
    const scaled = distance * 10 ** decimals;
    if (scaled >= 1 - 1e-6 && Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled) return decimals;
  }
  return 9;
}

/** A span of time in its two largest units: `0.4 s`, `38 s`, `5 m 10 s`, `2 h 13 m`, `3 d 4 h`;
 * `2 ms` for the width of a bucket. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const s = Math.max(0, seconds);
  if (s > 0 && s < 0.0995) return `${number(s * 1000, 2)} ms`;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  const whole = Math.round(s);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3_600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "m"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(" ");
}

/** A number of bytes in the largest unit that leaves a digit before the point; a dash for none. */
export function bytes(v: number): string {
  if (v <= 0) return "–";
  const power = Math.min(4, Math.floor(Math.log2(v) / 10));
  return `${number(v / 1024 ** power, 3)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

/** How long ago something was, in one unit: ages are read, not measured. */
export function ago(seconds: number): string {
  if (seconds < 1) return t.ago.now;
  const [n, unit] =
    seconds < 60
      ? [seconds, "s"]
      : seconds < 3_600
        ? [seconds / 60, "min"]
        : seconds < 86_400
          ? [seconds / 3_600, "h"]
          : [seconds / 86_400, "d"];
  return t.ago.of(`${Math.floor(n)} ${unit}`);
}

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const SHORT = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

/** Local date and time of a moment in microseconds since 1970. */
export function moment(us: number | null): string {
  return us === null ? "–" : DATE.format(us / 1000);
}

/** The short form for tables: no year, no seconds. */
export function shortMoment(us: number | null): string {
  return us === null ? "–" : SHORT.format(us / 1000);
}

const AXIS_TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

/** A position on the x axis, for the head of a tooltip: a step or seconds, or all steps of a bucket. */
export function position(v: number, x: XKind, bucket = 0): string {
  if (x === "rel" || x === "proc") return duration(v);
  if (x === "wall") return AXIS_TIME.format(v * 1000);
  const key = keyOfX(x);
  if (key !== null) return `${key} ${number(v)}`;
  if (bucket <= 1) return t.run.step(Number.isInteger(v) ? count(v) : number(v));
  const first = Math.floor(v / bucket) * bucket;
  return t.run.steps(count(first), count(first + bucket - 1));
}

/** At most `most` round values (1, 2, 5 × 10ⁿ apart) within [low, high]. */
export function niceTicks(low: number, high: number, most: number): number[] {
  const raw = (high - low) / most;
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((m) => m * power >= raw * (1 - 1e-9)) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => {
    const value = (first + i) * step;
    return step < 1 ? Number(value.toPrecision(12)) : value;
  });
}

/** Tick label on an axis of seconds, in the unit that suits the distance of the ticks. */
export function axisSeconds(v: number, step: number): string {
  if (v === 0) return "0";
  if (step < 1) return `${trimmed(v.toFixed(3))} s`;
  if (step < 60) return Math.abs(v) < 60 ? `${Math.round(v)} s` : clock(v);
  if (step < 3_600) return Math.abs(v) < 3_600 ? `${Math.round(v / 60)} m` : clock(v - (v % 60));
  return step < 86_400 && v % 86_400 !== 0
    ? `${trimmed((v / 3_600).toFixed(1))} h`
    : `${trimmed((v / 86_400).toFixed(1))} d`;
}

/** `5:30` for minutes and seconds, `2:05 h` from an hour on. */
function clock(seconds: number): string {
  const two = (n: number): string => String(Math.floor(n)).padStart(2, "0");
  return seconds < 3_600
    ? `${Math.floor(seconds / 60)}:${two(seconds % 60)}`
    : `${Math.floor(seconds / 3_600)}:${two((seconds % 3_600) / 60)} h`;
}

/** A difference with its direction as a shape, so that colour only repeats it: `▼ 0.057`. */
export function difference(v: number): string {
  if (v === 0) return "=";
  return Number.isNaN(v) ? "" : `${v > 0 ? "▲" : "▼"}\u2009${number(Math.abs(v), 3)}`;
}

const AXIS_DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const AXIS_MINUTE = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

/** Tick label on an axis of local time; `v` in seconds since 1970, `step` the distance of the ticks in seconds. */
export function axisWall(v: number, step: number): string {
  if (step >= 86_400) return AXIS_DAY.format(v * 1000);
  return step >= 60 ? AXIS_MINUTE.format(v * 1000) : AXIS_TIME.format(v * 1000);
}
