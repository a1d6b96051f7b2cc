/** One system metric of many devices: a heat map, the middle device with a band of all, and a table of them. */
import { effect, signal } from "@preact/signals";
import type { JSX } from "preact";
import * as format from "../format.ts";
import { Chart } from "../plot/chart.ts";
import { cellsOf, middle } from "../plot/heat.ts";
import { HeatMap } from "../plot/heat-map.ts";
import { announce } from "../state/announcements.ts";
import { CELLS, type DeviceBoard, type DeviceRow } from "../state/device-board.ts";
import { deviceName } from "../state/devices.ts";
import { setQuery } from "../state/router.ts";
import { zoom } from "../state/run.ts";
import { t } from "../strings.ts";
import { Mount } from "../ui/mount.tsx";
import { RowWindow } from "../ui/row-window.tsx";
import { themeColours } from "./chart-panel.tsx";
import chartStyles from "./charts.module.css";
import styles from "./devices.module.css";

const text = t.devices;
/** Distances of ticks on the axis. */
const STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 172_800,
];
const TICKS_MAX = 6;
/** Columns of the table that stands for the map. */
const TABLE_COLUMNS = 12;

function Toolbar({ board }: { board: DeviceBoard }): JSX.Element {
  return (
    <div class={chartStyles.toolbar}>
      <label class={chartStyles.control}>
        {text.metric}
        <select
          class={styles.metric}
          value={board.family.value?.id ?? ""}
          onChange={(event) => setQuery({ metric: event.currentTarget.value })}
        >
          {board.families.value.map(({ id, devices }) => (
            <option key={id} value={id}>
              {text.option(id, format.count(devices))}
            </option>
          ))}
        </select>
      </label>
      <label class={chartStyles.control}>
        {text.cell}
        <select
          value={board.shown.value}
          onChange={(event) =>
            setQuery({ cell: event.currentTarget.value === "mean" ? null : event.currentTarget.value }, true)
          }
        >
          {CELLS.map((cell) => (
            <option key={cell} value={cell}>
              {text.cells[cell]}
            </option>
          ))}
        </select>
      </label>
      <label class={chartStyles.control}>
        <input
          type="checkbox"
          checked={board.asTable.value}
          onChange={(event) => setQuery({ cells: event.currentTarget.checked ? "table" : null }, true)}
        />
        {text.asTable}
      </label>
      <button type="button" onClick={() => setQuery({ devices: "lines" })}>
        {text.lines}
      </button>
      <Legend board={board} />
    </div>
  );
}

function Legend({ board }: { board: DeviceBoard }): JSX.Element {
  const [low, high] = board.scale.value;
  return (
    <span class={styles.legend}>
      <span class="mono">{format.number(low, 3)}</span>
      <span class={styles.ramp} aria-hidden="true" />
      <span class="mono">{format.number(high, 3)}</span>
    </span>
  );
}

function rowHeight(rows: number): number {
  return rows <= 24 ? 20 : rows <= 96 ? 13 : rows <= 256 ? 6 : 3;
}

/** What a cell is, in words. */
function tell(board: DeviceBoard, row: number, column: number): string {
  const found = board.rows.peek()[row];
  if (found === undefined) return "";
  const [from, to] = board.window.peek();
  const width = (to - from) / board.columns;
  const at = from + column * width;
  const when = `${format.duration(at)} – ${format.duration(at + width)}`;
  const [mean, low, high] = (["mean", "low", "high"] as const).map(
    (name) => found.cells[name][column] as number,
  );
  if (mean === undefined || Number.isNaN(mean)) return text.nothing(deviceName(found.device), when);
  return text.tell(
    deviceName(found.device),
    when,
    format.number(mean, 4),
    format.number(low ?? mean, 4),
    format.number(high ?? mean, 4),
  );
}

function startMap(host: HTMLElement, board: DeviceBoard): () => void {
  const classes = { cursor: styles.cursor ?? "", tip: styles.tip ?? "" };
  const map = new HeatMap(host, { tell: (row, column) => tell(board, row, column), said: announce }, classes);
  host.tabIndex = 0;
  host.setAttribute("role", "img");
  const stop = effect(() => {
    const rows = board.rows.value;
    const colours = themeColours();
    host.setAttribute("aria-label", summary(board));
    map.update({
      rows: rows.map(({ cells }) => cells),
      columns: board.columns,
      shown: board.shown.value,
      scale: board.scale.value,
      ramp: colours.ramp,
      nothing: colours.rule,
      rowHeight: rowHeight(rows.length),
    });
  });
  return () => {
    stop();
    map.destroy();
  };
}

function summary(board: DeviceBoard): string {
  const rows = board.rows.value;
  const out = rows.filter(({ outlier }) => outlier);
  return text.summary(
    board.family.value?.id ?? "",
    format.count(rows.length),
    format.number(board.middle.value, 4),
    out.slice(0, 8).map((row) => `${deviceName(row.device)} ${format.number(row.outcome.mean, 4)}`),
    out.length,
  );
}

/** Names of the rows: the machine once, its units where there is room. */
function Labels({ rows }: { rows: readonly DeviceRow[] }): JSX.Element {
  const height = rowHeight(rows.length);
  const firsts = rows.map((row, i) => i === 0 || row.device.rank !== rows[i - 1]?.device.rank);
  return (
    <div class={styles.labels} aria-hidden="true" style={{ height: `${rows.length * height}px` }}>
      {rows.map(({ device }, i) => {
        const place = { top: `${i * height}px`, height: `${height}px`, lineHeight: `${height}px` };
        const [machine, unit] = [firsts[i] ? device.machine : "", height >= 12 ? device.unit : ""];
        if (machine === "" && unit === "") return null;
        return (
          <span key={`${device.rank} ${device.key}`} class={styles.label} style={place}>
            <span class={styles.machine}>{machine}</span>
            <span>{unit}</span>
          </span>
        );
      })}
    </div>
  );
}

function TimeAxis({ board }: { board: DeviceBoard }): JSX.Element {
  const [from, to] = board.window.value;
  const step = STEPS_S.find((seconds) => (to - from) / seconds <= TICKS_MAX) ?? (to - from) / TICKS_MAX;
  const first = Math.ceil(from / step);
  const ticks = Array.from({ length: Math.floor(to / step) - first + 1 }, (_, i) => (first + i) * step);
  return (
    <div class={styles.axis} aria-hidden="true">
      {ticks.map((tick) => (
        <span key={tick} style={{ left: `${((tick - from) / (to - from)) * 100}%` }}>
          {format.axisSeconds(tick, step)}
        </span>
      ))}
    </div>
  );
}

/** The middle device, and how far the others are from it. */
function startMiddle(host: HTMLElement, board: DeviceBoard): () => void {
  let chart: Chart | null = null;
  const stops = [
    effect(() => {
      const colours = themeColours();
      const options = {
        x: "rel" as const,
        scale: "linear" as const,
        robust: false,
        colours,
        strokes: () => [{ colour: colours.data[0] ?? colours.ink, dash: [], width: 1.5, front: false }],
        nameOf: () => text.middle,
        always: () => true,
        sync: "devices",
        onZoom: zoom,
        onHover: () => undefined,
        onDrawn: () => undefined,
      };
      if (chart === null) chart = new Chart(host, options);
      else chart.restyle(options);
    }),
    effect(() => {
      const [from, to] = board.window.value;
      chart?.update(
        middle(
          board.rows.value.map(({ cells }) => cells),
          from,
          to,
          board.columns,
        ),
        [from, to],
      );
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    chart?.destroy();
  };
}

function CellsTable({ board }: { board: DeviceBoard }): JSX.Element {
  const [from, to] = board.window.value;
  const rows = board.rows.value;
  const shown = board.shown.value;
  const width = (to - from) / TABLE_COLUMNS;
  const cells = rows.map(({ line }) => cellsOf(line, from, to, TABLE_COLUMNS)[shown]);
  const value = (v: number): string => (Number.isNaN(v) ? "–" : format.number(v, 4));
  return (
    <RowWindow
      rows={rows.length}
      label={text.asTable}
      table={styles.table}
      minWidth={880}
      head={
        <thead>
          <tr aria-rowindex={1}>
            <th scope="col">{text.device}</th>
            {Array.from({ length: TABLE_COLUMNS }, (_, c) => (
              <th key={c} scope="col" class="num">
                {format.duration(from + c * width)}
              </th>
            ))}
          </tr>
        </thead>
      }
    >
      {(first, end) =>
        rows.slice(first, end).map(({ device }, i) => (
          <tr key={`${device.rank} ${device.key}`} aria-rowindex={first + i + 2}>
            <th scope="row">{deviceName(device)}</th>
            {[...(cells[first + i] ?? [])].map((v, c) => (
              <td key={c} class="num">
                {value(v)}
              </td>
            ))}
          </tr>
        ))
      }
    </RowWindow>
  );
}

/** How the table of devices is sorted: by this column, the largest first; null = the farthest from the middle. */
const sorted = signal<"last" | "mean" | "low" | "high" | null>(null);

function DeviceTable({ board }: { board: DeviceBoard }): JSX.Element {
  const key = sorted.value;
  const value = ({ outcome, apart }: DeviceRow): number => (key === null ? Math.abs(apart) : outcome[key]);
  const rows = board.rows.value.toSorted((a, b) => (value(b) || 0) - (value(a) || 0));
  const heads = ["last", "mean", "low", "high"] as const;
  const head = (name: (typeof heads)[number] | null, label: string): JSX.Element => (
    <th scope="col" class="num" aria-sort={key === name ? "descending" : "none"}>
      <button
        type="button"
        class={styles.sort}
        onClick={() => {
          sorted.value = name;
        }}
      >
        {label}
        {key === name && <span aria-hidden="true"> ▾</span>}
      </button>
    </th>
  );
  return (
    <RowWindow
      rows={rows.length}
      label={text.devices}
      table={styles.table}
      head={
        <thead>
          <tr aria-rowindex={1}>
            <th scope="col">{text.device}</th>
            {heads.map((name) => head(name, text.heads[name]))}
            {head(null, text.apart)}
          </tr>
        </thead>
      }
    >
      {(first, end) =>
        rows.slice(first, end).map(({ device, outcome, apart, outlier }, i) => (
          <tr key={`${device.rank} ${device.key}`} aria-rowindex={first + i + 2}>
            <th scope="row">
              {deviceName(device)}
              {outlier && <strong class={styles.outlier}> {text.outlier}</strong>}
            </th>
            {heads.map((name) => (
              <td key={name} class="num">
                {Number.isNaN(outcome[name]) ? "–" : format.number(outcome[name], 4)}
              </td>
            ))}
            <td class="num">{Number.isNaN(apart) ? "–" : format.difference(apart)}</td>
          </tr>
        ))
      }
    </RowWindow>
  );
}

export function Devices({ board }: { board: DeviceBoard }): JSX.Element {
  const rows = board.rows.value;
  const family = board.family.value;
  return (
    <section class={styles.devices} aria-label={text.title}>
      <h2>{text.title}</h2>
      <Toolbar board={board} />
      <Mount key={family?.id ?? ""} start={() => board.watch()} />
      {rows.length === 0 && <p class="quiet">{t.chart.noPoints}</p>}
      {rows.length > 0 && (
        <>
          <p class={styles.summary}>{summary(board)}</p>
          {board.asTable.value ? (
            <CellsTable board={board} />
          ) : (
            <div class={styles.map}>
              <Labels rows={rows} />
              <div>
                <Mount class={styles.plot} start={(host) => startMap(host, board)} />
                <TimeAxis board={board} />
              </div>
            </div>
          )}
          {board.left.value > 0 && (
            <p class="quiet">{text.left(format.count(rows.length), format.count(board.left.value))}</p>
          )}
          <div class={styles.below}>
            <figure>
              <h3>{text.middleTitle}</h3>
              <Mount class={styles.middle} start={(host) => startMiddle(host, board)} />
              <figcaption class="vh">{summary(board)}</figcaption>
            </figure>
            <div class={styles.list}>
              <h3>{text.devices}</h3>
              <DeviceTable board={board} />
            </div>
          </div>
        </>
      )}
    </section>
  );
}
