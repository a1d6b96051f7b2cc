/** The dialog in which columns are chosen: all there are, found by name. */
import { computed, signal } from "@preact/signals";
import type { JSX } from "preact";
import * as format from "../format.ts";
import type { RunsPage } from "../state/runs.ts";
import { matcher } from "../state/sections.ts";
import { ALWAYS, type ColumnInfo } from "../state/table-columns.ts";
import { toggled } from "../state/view.ts";
import { t } from "../strings.ts";
import { Dialog } from "../ui/dialog.tsx";
import { VirtualList } from "../ui/virtual-list.tsx";
import styles from "./column-picker.module.css";
import { rowHeight } from "./table-keys.ts";

const words = t.table;
const search = signal("");
const match = computed(() => matcher(search.value));

function Choice({ page, column, top }: { page: RunsPage; column: ColumnInfo; top: number }): JSX.Element {
  const { pinned, rest } = page.shown.value;
  const always = ALWAYS.some((id) => id === column.id);
  const on = pinned.includes(column.id) || rest.includes(column.id);
  const change = (): void => {
    const { pins } = page.look.peek();
    if (pins.includes(column.id)) page.setLook({ pins: pins.filter((id) => id !== column.id) }, "columns");
    else page.setLook({ columns: toggled(page.shown.peek().rest, column.id) }, "columns");
  };
  return (
    <li class={styles.choice} style={{ top: `${top}px` }}>
      <label title={column.id}>
        <input type="checkbox" checked={on} disabled={always} onChange={change} />
        <span class={styles.name}>{column.title}</span>
        {column.runs !== null && <span class={styles.runs}>{format.count(column.runs)}</span>}
        <span class={styles.kind}>{words.kinds[column.kind]}</span>
      </label>
    </li>
  );
}

export function ColumnPicker({ page }: { page: RunsPage }): JSX.Element {
  const found = page.columns.value.filter(({ title }) => match.value.test(title));
  const close = (): void => {
    page.dialog.value = null;
    search.value = "";
  };
  return (
    <Dialog label={words.chooseTitle} kind="centre" onClose={close}>
      <div class={styles.head}>
        <h2>{words.chooseTitle}</h2>
        <button
          type="button"
          disabled={page.look.value.columns === null && page.look.value.pins.length === 0}
          onClick={() => page.setLook({ columns: null, pins: [] })}
        >
          {words.auto}
        </button>
        <button type="button" onClick={close}>
          {t.keyboard.close}
        </button>
      </div>
      <input
        type="search"
        data-first
        class={styles.search}
        aria-label={words.chooseHint}
        placeholder={words.chooseHint}
        value={search.value}
        onInput={(event) => {
          search.value = event.currentTarget.value;
        }}
      />
      {found.length === 0 && <p class="quiet">{words.noColumn(search.value)}</p>}
      <div class={styles.list}>
        <VirtualList
          label={words.chooseTitle}
          count={found.length}
          rowHeight={rowHeight()}
          at={null}
          onNeed={() => undefined}
          row={(i, top) => {
            const column = found[i];
            return column === undefined ? null : (
              <Choice key={column.id} page={page} column={column} top={top} />
            );
          }}
        />
      </div>
    </Dialog>
  );
}
