/** The devices of a run by one metric: which metric, what of it is shown, and a row of cells for each device. */
import { computed, type ReadonlySignal } from "@preact/signals";
import type { Range, Run } from "../data/types.ts";
import { type Cells, cellsOf, median, type Outcome, outcomeOf, outlierLimit } from "../plot/heat.ts";
import type { Line } from "../plot/plan.ts";
import { byPlace, type Device, deviceOf, type Family, familiesOf, isPercent, LINES_MAX } from "./devices.ts";
import type { Panels } from "./panels.ts";
import { queryWord } from "./router.ts";

/** Rows of a map at most; the others are counted in words. */
const ROWS_MAX = 1024;
/** CSS pixels: series are asked for at half of that many buckets. */
const ASKED_PX = 480;

export const CELLS = ["mean", "low", "high"] as const;

export interface DeviceRow {
  readonly device: Device;
  readonly line: Line;
  readonly cells: Cells;
  readonly outcome: Outcome;
  /** How far its mean is from the middle device's. */
  readonly apart: number;
  readonly outlier: boolean;
}

interface BoardParts {
  readonly panels: Panels;
  readonly keys: ReadonlySignal<readonly string[] | null>;
  /** How many machines have told of a key. */
  readonly machines: (key: string) => number;
  readonly run: ReadonlySignal<Run | null>;
  readonly range: ReadonlySignal<Range | null>;
}

export class DeviceBoard {
  /** Cells of a row. */
  readonly columns = 160;

  private readonly parts: BoardParts;

  constructor(parts: BoardParts) {
    this.parts = parts;
  }

  /** Metrics of more devices than lines could show; none where lines are wanted. */
  readonly many = computed<readonly Family[]>(() => {
    const machines = new Set((this.parts.run.value?.machines ?? []).map(({ rank }) => rank)).size;
    const count = (key: string): number => Math.max(this.parts.machines(key), Math.min(machines, 1));
    return familiesOf(this.parts.keys.value ?? [], count).filter(({ devices }) => devices > LINES_MAX);
  });
  readonly asLines = computed(() => queryWord("devices") === "lines");
  readonly families = computed<readonly Family[]>(() => (this.asLines.value ? [] : this.many.value));

  readonly family = computed<Family | null>(() => {
    const word = queryWord("metric");
    return this.families.value.find(({ id }) => id === word) ?? this.families.value[0] ?? null;
  });
  readonly shown = computed<keyof Cells>(() => CELLS.find((cell) => cell === queryWord("cell")) ?? "mean");
  readonly asTable = computed(() => queryWord("cells") === "table");

  /** The curve of each device that has told anything, in the order of their places. */
  private readonly lines = computed<readonly { device: Device; line: Line }[]>(() => {
    const machines = this.parts.run.value?.machines ?? [];
    const found = (this.family.value?.keys ?? []).flatMap((key) => {
      const panel = this.parts.panels.panel(key);
      panel.revision.value;
      const lines = (panel.plan?.lines ?? []).filter((line) => line.attempt === 0 && line.x.length > 0);
      return lines.map((line) => ({ device: deviceOf(key, line.rank, machines), line }));
    });
    return found.toSorted((a, b) => byPlace(a.device, b.device));
  });

  /** How many devices are not in the map. */
  readonly left = computed(() => Math.max(0, this.lines.value.length - ROWS_MAX));

  /** From when to when, in seconds since the run's start. */
  readonly window = computed<Range>(() => {
    const { value } = this.parts.range;
    if (value !== null) return value;
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const { line } of this.lines.value) {
      low = Math.min(low, line.x[0] as number);
      high = Math.max(high, line.x.at(-1) as number);
    }
    return low < high ? [low, high] : [Number.isFinite(low) ? low : 0, (Number.isFinite(low) ? low : 0) + 1];
  });

  readonly rows = computed<readonly DeviceRow[]>(() => {
    const [from, to] = this.window.value;
    const rows = this.lines.value.slice(0, ROWS_MAX).map(({ device, line }) => {
      const cells = cellsOf(line, from, to, this.columns);
      return { device, line, cells, outcome: outcomeOf(line, cells) };
    });
    const means = rows.map(({ outcome }) => outcome.mean);
    const middle = median(means);
    const scale = isPercent(this.family.value?.id ?? "") ? 100 : Math.abs(middle);
    const limit = outlierLimit(means, scale);
    return rows.map((row) => {
      const apart = row.outcome.mean - middle;
      return { ...row, apart, outlier: Math.abs(apart) > limit };
    });
  });

  /** The mean of the middle device. */
  readonly middle = computed(() => median(this.rows.value.map(({ outcome }) => outcome.mean)));

  /** The values that the ends of the colours stand for. */
  readonly scale = computed<Range>(() => {
    if (isPercent(this.family.value?.id ?? "")) return [0, 100];
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const { outcome } of this.rows.value) {
      if (outcome.low < low) low = outcome.low;
      if (outcome.high > high) high = outcome.high;
    }
    return low <= high ? [low, high] : [0, 1];
  });

  /** Asks for the metric's series, live, until the result is called. */
  watch(): () => void {
    const keys = this.family.peek()?.keys ?? [];
    for (const key of keys) this.parts.panels.show(key, ASKED_PX);
    return () => {
      for (const key of keys) this.parts.panels.hide(key);
    };
  }
}
