/** The runs and groups of the table in a grid; what a cell shows is in `runs-cell`, the headers are in `runs-head`. */
import type { JSX } from "preact";
import type { Field } from "../state/run-edit.ts";
import { type Cursor, HEAD, type RunsPage, SELECT } from "../state/runs.ts";
import { nameOf, type RunItem, type TableRow } from "../state/table-rows.ts";
import { t } from "../strings.ts";
import type { Place } from "../ui/grid-columns.ts";
import { ROLE, type Seen, VirtualGrid } from "../ui/virtual-grid.tsx";
import { CellEditor } from "./cell-editor.tsx";
import { editCell, focusGrid, GRID } from "./grid-edit.ts";
import { GroupCellView, isNumber, RunCell } from "./runs-cell.tsx";
import styles from "./runs-grid.module.css";
import { cellId, Head } from "./runs-head.tsx";
import { onGridKey, rowHeight } from "./table-keys.ts";

/** Rows beyond the edges that are loaded already. */
const LOAD_AHEAD = 50;

interface CellProps {
  page: RunsPage;
  found: TableRow;
  row: number;
  place: Place;
  left: number | null;
  cursor: boolean;
  edited: Field | null;
}

function SelectBox({ page, run, row }: { page: RunsPage; run: RunItem; row: number }): JSX.Element {
  return (
    <input
      type="checkbox"
      aria-label={t.table.selectRun(nameOf(run))}
      tabIndex={-1}
      checked={page.selected.value.has(run.id)}
      onClick={(event) => {
        page.select(row, event.shiftKey);
        // A range leaves a box as it was that the browser has just turned over.
        event.currentTarget.checked = page.selected.peek().has(run.id);
      }}
    />
  );
}

function Content({ page, found, row, place }: Omit<CellProps, "left" | "cursor">): JSX.Element | null {
  const { id } = place;
  if (found.kind === "group")
    return id === SELECT ? null : (
      <GroupCellView page={page} group={found.item} row={row} open={found.open} column={id} />
    );
  if (id === SELECT) return <SelectBox page={page} run={found.item} row={row} />;
  return <RunCell page={page} run={found.item} column={id} />;
}

function Cell(props: CellProps): JSX.Element {
  const { page, found, row, place, left, cursor, edited } = props;
  const { id, width, index } = place;
  const number = found.kind === "run" ? isNumber(id, found.item.cells.get(id)) : id !== "name";
  const isEdited = edited !== null && edited === id;
  const marks = [
    styles.td,
    left === null ? "" : styles.pinned,
    number ? styles.number : "",
    cursor ? styles.cursor : "",
    isEdited ? styles.edited : "",
    id === "name" && found.kind === "run" && found.inside ? styles.inside : "",
  ];
  const Tag = id === "name" ? "th" : "td";
  return (
    <Tag
      id={cellId(row, index)}
      {...(id === "name" ? ROLE.rowHead : ROLE.cell)}
      class={marks.join(" ")}
      style={{ width: `${width}px`, ...(left === null ? {} : { left: `${left}px` }) }}
      aria-colindex={index}
      data-column={id}
    >
      <Content page={page} found={found} row={row} place={place} edited={edited} />
      {isEdited && <CellEditor edit={page.edit} field={edited} onClose={focusGrid} />}
    </Tag>
  );
}

interface RowProps {
  page: RunsPage;
  row: number;
  found: TableRow | undefined;
  places: readonly Place[];
  top: number;
  cursor: string | null;
  edited: Field | null;
}

function Row({ page, row, found, places, top, cursor, edited }: RowProps): JSX.Element {
  const { pinned, pinnedWidth, restWidth } = page.layout.value;
  const selected = found?.kind === "run" && page.selected.value.has(found.item.id);
  const spacer = places[0]?.left ?? 0;
  const cells = (of: readonly Place[], stay: boolean): JSX.Element[] =>
    found === undefined
      ? []
      : of.map((place) => (
          <Cell
            key={place.id}
            page={page}
            found={found}
            row={row}
            place={place}
            left={stay ? place.left : null}
            cursor={cursor === place.id}
            edited={edited}
          />
        ));
  return (
    <tr
      {...ROLE.row}
      class={`${styles.row} ${edited === null ? "" : styles.editing}`}
      style={{ top: `${top}px`, width: `${pinnedWidth + restWidth}px` }}
      aria-rowindex={row + 2}
      aria-selected={selected}
      data-row={row}
      data-id={found?.item.id}
    >
      {cells(pinned, true)}
      {spacer > 0 && <td {...ROLE.none} class={styles.spacer} style={{ width: `${spacer}px` }} />}
      {cells(places, false)}
    </tr>
  );
}

/** Where the pointer went down or was pressed twice: a row and a column. */
function placeOf(event: Event): Cursor | null {
  if (!(event.target instanceof Element)) return null;
  const row = event.target.closest<HTMLElement>("tr[data-row]")?.dataset.row;
  const column = event.target.closest<HTMLElement>("[data-column]")?.dataset.column;
  return row === undefined || column === undefined ? null : { row: Number(row), column };
}

/** Columns whose values are numbers, by the rows in view: their headers stand at the right too. */
function numbersOf(page: RunsPage, { first, end, places }: Seen): ReadonlySet<string> {
  const isNumeric = (row: number, id: string): boolean | null => {
    const found = page.rows.at(row);
    if (found === undefined) return null;
    if (found.kind === "group") {
      const said = found.item.cells.get(id);
      return said !== undefined && said.n > 0 && isNumber(id, said.mean) ? true : null;
    }
    const value = found.item.cells.get(id);
    if (id !== "duration" && (value === undefined || value === null)) return null;
    return isNumber(id, value);
  };
  const found = new Set<string>();
  for (const { id } of [...page.layout.value.pinned, ...places])
    for (let row = first; row < end; row++) {
      const numeric = isNumeric(row, id);
      if (numeric === true) found.add(id);
      if (numeric !== null) break;
    }
  return found;
}

function Heads({ page, seen }: { page: RunsPage; seen: Seen }): JSX.Element {
  const { pinned, pinnedWidth, restWidth } = page.layout.value;
  const numbers = numbersOf(page, seen);
  const cursor = page.cursor.value;
  const spacer = seen.places[0]?.left ?? 0;
  const heads = (of: readonly Place[], stay: boolean): JSX.Element[] =>
    of.map((place) => (
      <Head
        key={place.id}
        page={page}
        place={place}
        left={stay ? place.left : null}
        number={numbers.has(place.id)}
        cursor={cursor?.row === HEAD && cursor.column === place.id}
      />
    ));
  return (
    <tr
      {...ROLE.row}
      class={styles.headRow}
      style={{ width: `${pinnedWidth + restWidth}px` }}
      aria-rowindex={1}
    >
      {heads(pinned, true)}
      {spacer > 0 && <td {...ROLE.none} class={styles.spacer} style={{ width: `${spacer}px` }} />}
      {heads(seen.places, false)}
    </tr>
  );
}

/** Loads what is in view and a little more. */
function need(page: RunsPage, { first, end, places }: Seen): void {
  const ids = [...page.layout.peek().pinned, ...places].map(({ id }) => id).filter((id) => id !== SELECT);
  page.rows.need(Math.max(0, first - LOAD_AHEAD), end + LOAD_AHEAD, ids);
}

function activeCell(page: RunsPage): { row: number; id: string; place: Place | null } | null {
  const cursor = page.cursor.value;
  const { pinned, rest } = page.layout.value;
  const same = ({ id }: Place): boolean => id === cursor?.column;
  const place = rest.find(same) ?? null;
  const at = place ?? pinned.find(same);
  return cursor === null || at === undefined
    ? null
    : { row: cursor.row, id: cellId(cursor.row, at.index), place };
}

export function RunsGrid({ page }: { page: RunsPage }): JSX.Element {
  page.rows.version.value;
  const { pinned, rest, pinnedWidth, restWidth } = page.layout.value;
  const count = page.rows.count.value ?? 0;
  const cursor = page.cursor.value;
  const edit = page.edit.open.value;
  const height = rowHeight();
  return (
    <VirtualGrid
      id={GRID}
      label={t.table.label}
      rows={count}
      rowHeight={height}
      places={rest}
      pinnedWidth={pinnedWidth}
      width={pinnedWidth + restWidth}
      columns={pinned.length + rest.length}
      active={activeCell(page)}
      onSeen={(seen) => need(page, seen)}
      onHand={(hand) => {
        page.hand.value = hand;
      }}
      onFocus={() => {
        if (page.cursor.peek() === null) page.cursor.value = { row: count > 0 ? 0 : HEAD, column: "name" };
      }}
      onKeyDown={(event) => onGridKey(event, page)}
      onPointerDown={(event) => {
        page.cursor.value = placeOf(event) ?? page.cursor.peek();
      }}
      onDblClick={(event) => {
        const found = placeOf(event);
        if (found !== null && editCell(page, found.row, found.column)) event.preventDefault();
      }}
      head={(seen) => <Heads page={page} seen={seen} />}
      row={(row, seen) => {
        const found = page.rows.at(row);
        return (
          <Row
            key={found?.item.id ?? `row ${row}`}
            page={page}
            row={row}
            found={found}
            places={seen.places}
            top={row * height}
            cursor={cursor?.row === row ? cursor.column : null}
            edited={edit !== null && found?.item.id === edit.run ? edit.field : null}
          />
        );
      }}
    />
  );
}
