/** System metrics by device: which keys are one metric of many devices, and what those devices are called. Pure. */
import type { Machine } from "../data/types.ts";
import { t } from "../strings.ts";

/** With more devices than this one metric of all is a heat map. */
export const LINES_MAX = 8;

export interface Family {
  /** The name of the metric, with a star for the number of the device. */
  readonly id: string;
  /** A key for each number; one key where only machines differ. */
  readonly keys: readonly string[];
  /** How many devices of all machines have it, as far as is known. */
  readonly devices: number;
}

export interface Device {
  readonly key: string;
  /** Of the machine: what its system metrics are told by. */
  readonly rank: number;
  readonly machine: string;
  /** `gpu 5`; empty where the machine itself is the device. */
  readonly unit: string;
}

const NUMBERED = /^((?:system\.)?(?:gpu|tpu|trn)\.(?:process\.)?)(\d+)(\..+)$/;
const COLLATOR = new Intl.Collator(undefined, { numeric: true });

/** The name of a key's metric. */
export function familyOf(key: string): string {
  return key.replace(NUMBERED, "$1*$3");
}

/** The metrics of the keys, those of most devices first. `ranks` are the machines that have a key. */
export function familiesOf(keys: readonly string[], ranks: (key: string) => number): Family[] {
  const found = new Map<string, string[]>();
  for (const key of keys) {
    const id = familyOf(key);
    const known = found.get(id);
    if (known === undefined) found.set(id, [key]);
    else known.push(key);
  }
  return [...found]
    .map(([id, members]) => ({
      id,
      keys: members.toSorted(COLLATOR.compare),
      devices: members.reduce((sum, key) => sum + ranks(key), 0),
    }))
    .sort((a, b) => b.devices - a.devices || order(a.id) - order(b.id) || COLLATOR.compare(a.id, b.id));
}

/** Utilisation is what is looked at first. */
function order(id: string): number {
  return /\.gpu$/.test(id) && !id.includes("process") ? 0 : 1;
}

/** What a device of a key is called. */
export function deviceOf(key: string, rank: number, machines: readonly Machine[]): Device {
  const [, kind = "", number = ""] = NUMBERED.exec(key) ?? [];
  const hosts = machines.filter((machine) => machine.rank === rank).map((machine) => machine.host || "?");
  const machine = [...new Set(hosts)].toReversed().join(", ") || t.chart.rank(rank);
  const unit = number === "" ? "" : `${kind.replace(/^system\.|\.$/g, "").replace(".process", "")} ${number}`;
  return { key, rank, machine, unit };
}

/** In one line: machine and unit. */
export function deviceName({ machine, unit }: Device): string {
  return unit === "" ? machine : `${machine} ${unit}`;
}

/** The order of devices: machine by machine, then by number. */
export function byPlace(a: Device, b: Device): number {
  return a.rank - b.rank || COLLATOR.compare(a.key, b.key);
}

/** Metrics that go from 0 to 100, so that the colours of two of them mean the same. */
export function isPercent(id: string): boolean {
  return /(\.(gpu|memory|memoryAllocated|powerPercent|fanSpeed|usagePercent)|_percent|^(system\.)?cpu)$/.test(
    id,
  );
}
