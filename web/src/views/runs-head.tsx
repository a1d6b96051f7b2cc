/** The headers of the table: sort by a click, a menu of the rest, an edge that is dragged, a place that is dragged. */
import { type Signal, signal } from "@preact/signals";
import type { JSX } from "preact";
import { HEAD, type RunsPage, SELECT } from "../state/runs.ts";
import { ALWAYS, aggregate, kindOf, titleOf, widthOf } from "../state/table-columns.ts";
import { movedBefore, sortedBy, WIDTH } from "../state/table-look.ts";
import { t } from "../strings.ts";
import { Drop } from "../ui/drop.tsx";
import type { Place } from "../ui/grid-columns.ts";
import { Icon } from "../ui/icons.tsx";
import type { Deed } from "../ui/menu.tsx";
import { ROLE } from "../ui/virtual-grid.tsx";
import styles from "./runs-grid.module.css";

const words = t.table;
/** One key press makes a column so much wider. */
const STEP_PX = 16;
/** A pointer that moves less than this has clicked. */
const CLICK_PX = 5;

interface MenuOpen {
  readonly column: string;
  readonly left: number;
  readonly bottom: number;
}

const menu: Signal<MenuOpen | null> = signal(null);
/** The column that is being dragged, and the one that it would come before. */
const dragged: Signal<{ column: string; before: string | null } | null> = signal(null);

export function openMenu(column: string, from: Element): void {
  const { left, bottom } = from.getBoundingClientRect();
  menu.value = { column, left, bottom };
}

const fixed = (column: string): boolean => column === SELECT || ALWAYS.some((id) => id === column);

/** Dates are looked at from the newest, everything else from the lowest. */
const downFirst = (column: string): boolean => column.endsWith("_us");

/** The keys that a column sorts by: of a metric also its extremes. */
function sortKeys(column: string): string[] {
  const key = kindOf(column) === "summary" && column.startsWith("summary.") ? column.slice(8) : null;
  return key === null ? [column] : [column, aggregate("min", key), aggregate("max", key)];
}

export function sortBy(page: RunsPage, column: string, further: boolean): void {
  const { sort } = page.look.peek();
  const key = sortKeys(column).find((each) => sort.some((known) => known.key === each)) ?? column;
  page.setLook({ sort: sortedBy(sort, key, further, downFirst(key)) });
}

function moveBy(page: RunsPage, column: string, by: -1 | 1): void {
  const { pinned, rest } = page.shown.peek();
  const pins = pinned.filter((id) => !fixed(id));
  const list = pins.includes(column) ? pins : rest;
  const at = list.indexOf(column);
  const to = at + by;
  if (at < 0 || to < 0 || to >= list.length) return;
  const moved = list.with(at, list[to] as string).with(to, column);
  page.setLook(list === pins ? { pins: moved } : { columns: moved });
}

function widen(page: RunsPage, column: string, width: number): void {
  const widths = new Map(page.look.peek().widths);
  widths.set(column, Math.round(Math.min(WIDTH.max, Math.max(WIDTH.min, width))));
  page.setLook({ widths }, `width ${column}`);
}

/** Makes a column wider or narrower, or moves it: for the keyboard. */
export function adjust(page: RunsPage, column: string, by: -1 | 1, move: boolean): void {
  if (column === SELECT || column === "state") return;
  if (move) moveBy(page, column, by);
  else widen(page, column, widthOf(column, page.look.peek()) + by * STEP_PX);
}

function pin(page: RunsPage, column: string): void {
  const { pins } = page.look.peek();
  const { rest } = page.shown.peek();
  if (pins.includes(column))
    page.setLook({ pins: pins.filter((id) => id !== column), columns: [column, ...rest] });
  else page.setLook({ pins: [...pins, column], columns: rest.filter((id) => id !== column) });
}

export function hide(page: RunsPage, column: string): void {
  const { pins } = page.look.peek();
  const { rest } = page.shown.peek();
  page.setLook({
    pins: pins.filter((id) => id !== column),
    columns: rest.filter((id) => id !== column),
  });
}

function sortDeeds(page: RunsPage, column: string): Deed[] {
  const { sort } = page.look.peek();
  const keys = sortKeys(column);
  const names = [words.sortBy.latest, words.sortBy.min, words.sortBy.max];
  const to = (key: string, desc: boolean) => () => page.setLook({ sort: [{ key, desc }] });
  const deeds = keys.flatMap((key, i): Deed[] => {
    const what = names[i] ?? "";
    return [
      { label: keys.length > 1 ? words.sortUpBy(what) : words.sortUp, act: to(key, false) },
      { label: keys.length > 1 ? words.sortDownBy(what) : words.sortDown, act: to(key, true) },
    ];
  });
  if (sort.some(({ key }) => keys.includes(key)))
    deeds.push({
      label: words.sortNot,
      act: () => page.setLook({ sort: sort.filter(({ key }) => !keys.includes(key)) }),
    });
  return deeds;
}

function deedsOf(page: RunsPage, column: string): Deed[] {
  const { group, pins } = page.look.peek();
  const grouped = group.includes(column);
  const deeds = sortDeeds(page, column);
  if (column !== "name" && column !== "id")
    deeds.push({
      label: grouped ? words.groupNot : words.groupBy,
      act: () => page.setLook({ group: grouped ? group.filter((id) => id !== column) : [...group, column] }),
    });
  if (fixed(column)) return deeds;
  const { rest } = page.shown.peek();
  for (const key of sortKeys(column).slice(1))
    if (!rest.includes(key))
      deeds.push({
        label: words.show(titleOf(key)),
        act: () => {
          const next = rest[rest.indexOf(column) + 1] ?? null;
          page.setLook({ columns: movedBefore([...rest, key], key, next) });
        },
      });
  const adjusted = (by: -1 | 1, move: boolean) => () => adjust(page, column, by, move);
  return [
    ...deeds,
    { label: pins.includes(column) ? words.unpin : words.pin, act: () => pin(page, column) },
    { label: words.left, act: adjusted(-1, true) },
    { label: words.right, act: adjusted(1, true) },
    { label: words.hide, act: () => hide(page, column) },
  ];
}

/** The menu of a header; one for all of them, because the table would cut off one of its own. */
export function HeadMenu({ page }: { page: RunsPage }): JSX.Element | null {
  const open = menu.value;
  if (open === null) return null;
  return (
    <Drop
      key={open.column}
      label={words.menu(titleOf(open.column))}
      anchor={open}
      deeds={deedsOf(page, open.column)}
      onClose={() => {
        menu.value = null;
      }}
    />
  );
}

/** The header under the pointer while one is dragged: which column the dragged one would come before. */
function dropPlace(page: RunsPage, x: number, y: number): string | null | undefined {
  const over = document.elementFromPoint(x, y)?.closest<HTMLElement>("th[data-column]");
  const column = over?.dataset.column;
  if (over === null || over === undefined || column === undefined) return undefined;
  const { rest } = page.shown.peek();
  const at = rest.indexOf(column);
  if (at < 0) return undefined;
  const { left, width } = over.getBoundingClientRect();
  return x < left + width / 2 ? column : (rest[at + 1] ?? null);
}

/** What a pointer does that goes down on a header: a click sorts, a longer way moves the column. */
function onPointer(page: RunsPage, column: string, event: PointerEvent): void {
  const button = event.currentTarget;
  if (!(button instanceof HTMLElement) || event.button !== 0 || event.pointerType === "touch") return;
  if (fixed(column) || page.look.peek().pins.includes(column)) return;
  const from = event.clientX;
  button.setPointerCapture(event.pointerId);
  const move = (now: PointerEvent): void => {
    if (dragged.peek() === null && Math.abs(now.clientX - from) < CLICK_PX) return;
    const before = dropPlace(page, now.clientX, now.clientY);
    dragged.value = { column, before: before === undefined ? (dragged.peek()?.before ?? column) : before };
  };
  const up = (): void => {
    button.removeEventListener("pointermove", move);
    const drag = dragged.peek();
    dragged.value = null;
    if (drag === null) return;
    // The click that follows is the end of the drag and none of its own.
    button.addEventListener("click", (click) => click.stopImmediatePropagation(), {
      once: true,
      capture: true,
    });
    page.setLook({ columns: movedBefore(page.shown.peek().rest, column, drag.before) });
  };
  button.addEventListener("pointermove", move);
  button.addEventListener("pointerup", up, { once: true });
}

/** The right edge of a header: dragged, it sets the width. */
function Edge({ page, place }: { page: RunsPage; place: Place }): JSX.Element {
  const start = (event: PointerEvent): void => {
    const edge = event.currentTarget;
    if (!(edge instanceof HTMLElement)) return;
    event.preventDefault();
    event.stopPropagation();
    edge.setPointerCapture(event.pointerId);
    const from = event.clientX;
    const width = place.width;
    const move = (now: PointerEvent): void => widen(page, place.id, width + now.clientX - from);
    edge.addEventListener("pointermove", move);
    edge.addEventListener("pointerup", () => edge.removeEventListener("pointermove", move), { once: true });
  };
  return <span class={styles.edge} aria-hidden="true" onPointerDown={start} />;
}

function SortMark({ page, column }: { page: RunsPage; column: string }): JSX.Element | null {
  const { sort } = page.look.value;
  const keys = sortKeys(column);
  const at = sort.findIndex(({ key }) => keys.includes(key));
  const found = sort[at];
  if (found === undefined) return null;
  const which = keys.indexOf(found.key);
  const what = which > 0 ? ` ${which === 1 ? words.sortBy.min : words.sortBy.max}` : "";
  return (
    <span class={styles.sort}>
      {found.desc ? "▼" : "▲"}
      {words.sorted(at + 1, sort.length)}
      {what}
    </span>
  );
}

function sortState(page: RunsPage, column: string): "ascending" | "descending" | "none" {
  const found = page.look.value.sort.find(({ key }) => sortKeys(column).includes(key));
  return found === undefined ? "none" : found.desc ? "descending" : "ascending";
}

interface HeadProps {
  page: RunsPage;
  place: Place;
  /** From the left end, for pinned columns. */
  left: number | null;
  number: boolean;
  cursor: boolean;
}

/** The box that selects all, or lets go of what is selected. */
function SelectAll({ page }: { page: RunsPage }): JSX.Element {
  const some = page.selected.value.size > 0;
  return (
    <input
      type="checkbox"
      aria-label={words.selectAll}
      title={words.selectAll}
      tabIndex={-1}
      checked={some}
      indeterminate={some}
      disabled={page.selecting.value !== null}
      onChange={() => void page.selectAll()}
    />
  );
}

export function Head({ page, place, left, number, cursor }: HeadProps): JSX.Element {
  const { id } = place;
  const title = id === SELECT ? words.select : titleOf(id);
  const drag = dragged.value;
  const marks = [
    styles.th,
    left === null ? "" : styles.pinned,
    number ? styles.number : "",
    cursor ? styles.cursor : "",
    drag?.before === id ? styles.before : "",
    drag?.column === id ? styles.dragged : "",
  ];
  return (
    <th
      id={cellId(HEAD, place.index)}
      {...ROLE.head}
      class={marks.join(" ")}
      style={{ width: `${place.width}px`, ...(left === null ? {} : { left: `${left}px` }) }}
      aria-colindex={place.index}
      aria-sort={id === SELECT ? undefined : sortState(page, id)}
      data-column={id}
      title={title}
      onPointerDown={() => {
        page.cursor.value = { row: HEAD, column: id };
      }}
    >
      {id === SELECT ? (
        <SelectAll page={page} />
      ) : (
        <>
          <button
            type="button"
            class={styles.title}
            tabIndex={-1}
            onPointerDown={(event) => onPointer(page, id, event)}
            onClick={(event) => sortBy(page, id, event.shiftKey)}
          >
            {id === "state" ? <span class="vh">{title}</span> : <span class={styles.titleText}>{title}</span>}
            <SortMark page={page} column={id} />
          </button>
          {id !== "state" && (
            <button
              type="button"
              class={styles.more}
              tabIndex={-1}
              aria-label={words.menu(title)}
              title={words.menu(title)}
              aria-haspopup="menu"
              onClick={(event) => openMenu(id, event.currentTarget)}
            >
              <Icon name="more" />
            </button>
          )}
          {id !== "state" && <Edge page={page} place={place} />}
        </>
      )}
    </th>
  );
}

/** The id of a cell in the document. */
export function cellId(row: number, column: number): string {
  return `cell-${row}-${column}`;
}
