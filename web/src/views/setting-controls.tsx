/** Controls of how panels are drawn: the same for the workspace, a section and a panel. Each acts as it is touched. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { keyOfX, type Smoothing, type XKind } from "../data/types.ts";
import * as format from "../format.ts";
import type { Scale } from "../plot/scale.ts";
import {
  halfLife,
  isSmoothingKind,
  parseScale,
  parseX,
  type Settings,
  SMOOTHINGS,
  scaleText,
  type XChoice,
} from "../state/settings.ts";
import { t } from "../strings.ts";
import styles from "./setting-controls.module.css";

const words = t.workspace;
const PLAIN: readonly XChoice[] = ["auto", "step", "rel", "proc", "wall"];
const OTHER = "other";
/** Keys that are proposed at once. */
const PROPOSED_MAX = 200;

interface XProps {
  value: XChoice;
  keys: readonly string[];
  /** Names the list of proposals: several controls may be in the page. */
  id: string;
  onChange: (x: XChoice) => void;
}

/** Steps, times, or any key that is typed. */
export function XControl({ value, keys, id, onChange }: XProps): JSX.Element {
  const typing = useSignal(false);
  const key = value === "auto" ? null : keyOfX(value);
  return (
    <>
      <label class={styles.control} title={words.xHint}>
        {words.x}
        <select
          value={typing.value ? OTHER : value}
          onChange={(event) => {
            const x = parseX(event.currentTarget.value);
            typing.value = x === null;
            if (x !== null) onChange(x);
          }}
        >
          {PLAIN.map((kind) => (
            <option key={kind} value={kind}>
              {words.xNames[kind]}
            </option>
          ))}
          {key !== null && <option value={value}>{key}</option>}
          <option value={OTHER}>{words.otherKey}</option>
        </select>
      </label>
      {typing.value && (
        <label class={styles.control}>
          <span class="vh">{words.xKey}</span>
          <input
            type="search"
            class={styles.key}
            list={`${id}-keys`}
            placeholder={words.xKey}
            ref={(input) => input?.focus()}
            onBlur={() => {
              typing.value = false;
            }}
            onInput={(event) => {
              const chosen = event.currentTarget.value;
              if (!keys.includes(chosen)) return;
              typing.value = false;
              onChange(`key:${chosen}`);
            }}
          />
          <datalist id={`${id}-keys`}>
            {keys.slice(0, PROPOSED_MAX).map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </label>
      )}
    </>
  );
}

export function ScaleControl({
  value,
  onChange,
}: {
  value: Scale;
  onChange: (scale: Scale) => void;
}): JSX.Element {
  return (
    <label class={styles.control}>
      {words.y}
      <select
        value={scaleText(value)}
        onChange={(event) => onChange(parseScale(event.currentTarget.value) ?? "linear")}
      >
        {(["linear", "log", "symlog"] as const).map((scale) => (
          <option key={scale} value={scaleText(scale)}>
            {words.scales[scale]}
          </option>
        ))}
      </select>
    </label>
  );
}

export function Switch(props: {
  label: string;
  title?: string;
  on: boolean;
  onChange: (on: boolean) => void;
}): JSX.Element {
  return (
    <label class={styles.control} title={props.title}>
      <input
        type="checkbox"
        checked={props.on}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      {props.label}
    </label>
  );
}

/** What a strength means, in the words of its kind. `span` is the R of the formula; null = not known yet. */
export function smoothMeaning({ kind, s }: Smoothing, span: number | null, x: XKind): string {
  if (kind === "gaussian") return words.smoothed.gaussian(format.number(s, 3));
  if (kind === "running") return words.smoothed.running(format.count(s));
  if (kind === "ema") return words.smoothed.ema(format.number(Math.LN2 / -Math.log(Math.min(s, 0.999)), 2));
  if (span === null) return "";
  const half = halfLife(s, span);
  if (x === "step") return words.smoothed.twema(t.chart.steps(format.number(half, 2)));
  return words.smoothed.twema(keyOfX(x) === null ? format.duration(half) : format.number(half, 2));
}

interface SmoothProps {
  value: Pick<Settings, "smooth" | "raw">;
  span: number | null;
  x: XKind;
  /** `kind` joins the steps of one drag into one step of undo. */
  onChange: (change: Partial<Pick<Settings, "smooth" | "raw">>, kind: string | null) => void;
}

export function SmoothControl({ value: { smooth, raw }, span, x, onChange }: SmoothProps): JSX.Element {
  return (
    <>
      <label class={styles.control}>
        {words.smooth}
        <select
          value={smooth?.kind ?? "none"}
          onChange={(event) => {
            const kind = event.currentTarget.value;
            onChange({ smooth: isSmoothingKind(kind) ? { kind, s: SMOOTHINGS[kind].first } : null }, null);
          }}
        >
          {(["none", "twema", "ema", "gaussian", "running"] as const).map((kind) => (
            <option key={kind} value={kind}>
              {words.smoothings[kind]}
            </option>
          ))}
        </select>
      </label>
      {smooth !== null && (
        <>
          <label class={styles.control}>
            <span class="vh">{words.strength}</span>
            <input
              type="range"
              class={styles.strength}
              min={smooth.kind === "running" ? 1 : SMOOTHINGS[smooth.kind].step}
              max={SMOOTHINGS[smooth.kind].max}
              step={SMOOTHINGS[smooth.kind].step}
              value={smooth.s}
              onInput={(event) =>
                onChange({ smooth: { ...smooth, s: Number(event.currentTarget.value) } }, "smooth")
              }
            />
            <output class={styles.meaning}>
              {format.number(smooth.s)} {smoothMeaning(smooth, span, x)}
            </output>
          </label>
          <Switch
            label={words.raw}
            title={words.rawHint}
            on={raw}
            onChange={(on) => onChange({ raw: on }, null)}
          />
        </>
      )}
    </>
  );
}
