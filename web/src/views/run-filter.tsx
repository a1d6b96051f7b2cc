/** The filter line of the runs list: completes keys and values, and says where it cannot be understood. */
import type { JSX } from "preact";
import type { Place } from "../data/api.ts";
import * as format from "../format.ts";
import type { WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { step } from "./run-cursor.ts";
import styles from "./run-filter.module.css";

const FIELD = "filter-runs";

/** Puts a proposal into the line and the cursor behind it. */
function take(page: WorkspacePage, item: number): void {
  const help = page.filterHelp;
  const field = document.getElementById(FIELD);
  const taken = help.taken(page.view.peek().filter, item);
  if (taken === null || !(field instanceof HTMLInputElement)) return;
  field.value = taken.text;
  field.setSelectionRange(taken.place, taken.place);
  field.focus();
  page.set({ filter: taken.text }, "filter");
  help.typed(taken.text, taken.place);
}

function onKey(event: KeyboardEvent, page: WorkspacePage): void {
  const help = page.filterHelp;
  const { length } = help.items.peek();
  const chosen = help.chosen.peek();
  if (event.isComposing) return;
  if (event.key === "ArrowDown" && length > 0) help.move(1);
  else if (event.key === "ArrowUp" && length > 0) help.move(-1);
  else if (event.key === "Enter" && chosen >= 0) take(page, chosen);
  else if (event.key === "Escape" && length > 0) help.close();
  else if (event.key === "Enter" || event.key === "ArrowDown") {
    // On to what was found.
    help.close();
    page.cursor.value = null;
    step(page, 1);
  } else return;
  event.preventDefault();
}

function Proposals({ page }: { page: WorkspacePage }): JSX.Element | null {
  const help = page.filterHelp;
  const items = help.items.value;
  if (items.length === 0) return null;
  return (
    <div id="proposals" class={styles.proposals} role="listbox" aria-label={t.workspace.proposals}>
      {items.map((item, i) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the field above.
        <div
          key={item.text}
          id={`proposal-${i}`}
          class={styles.proposal}
          role="option"
          aria-selected={i === help.chosen.value}
          tabIndex={-1}
          // Before the field loses the focus, with which the list would go.
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => take(page, i)}
        >
          <span class={styles.text}>{item.text}</span>
          {item.runs !== null && <span class={styles.count}>{format.count(item.runs)}</span>}
        </div>
      ))}
    </div>
  );
}

/** The line again, with the part marked that was not understood. */
function Fault({ line, place, why }: { line: string; place: Place; why: string }): JSX.Element {
  const letters = [...line];
  const from = place.column - 1;
  return (
    <p id="fault" class={styles.fault}>
      <code>
        {letters.slice(0, from).join("")}
        <mark>{letters.slice(from, from + place.length).join("") || " "}</mark>
        {letters.slice(from + place.length).join("")}
      </code>{" "}
      {why}
    </p>
  );
}

export function RunFilter({ page }: { page: WorkspacePage }): JSX.Element {
  const help = page.filterHelp;
  const line = page.view.value.filter;
  const error = page.list.error.value;
  const place = error?.place ?? null;
  const open = help.items.value.length > 0;
  const typed = (field: HTMLInputElement): void =>
    help.typed(field.value, field.selectionStart ?? field.value.length);
  return (
    <div class={styles.filter}>
      <input
        id={FIELD}
        role="combobox"
        aria-label={t.workspace.filter}
        aria-expanded={open}
        aria-controls={open ? "proposals" : undefined}
        aria-activedescendant={help.chosen.value >= 0 ? `proposal-${help.chosen.value}` : undefined}
        aria-invalid={place !== null}
        aria-describedby={place === null ? undefined : "fault"}
        title={t.workspace.filterExample}
        placeholder={t.workspace.filterHint}
        autocomplete="off"
        spellcheck={false}
        value={line}
        onInput={(event) => {
          page.set({ filter: event.currentTarget.value }, "filter");
          typed(event.currentTarget);
        }}
        onFocus={(event) => typed(event.currentTarget)}
        onBlur={() => help.close()}
        onKeyDown={(event) => onKey(event, page)}
      />
      <Proposals page={page} />
      {error !== null && place !== null && <Fault line={line.trim()} place={place} why={error.message} />}
    </div>
  );
}
