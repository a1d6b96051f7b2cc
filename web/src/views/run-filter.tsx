/** The filter line of lists of runs: completes keys and values, and says where it cannot be understood. */
import type { JSX } from "preact";
import type { ApiError, Place } from "../data/api.ts";
import * as format from "../format.ts";
import type { FilterHelp } from "../state/proposals.ts";
import { t } from "../strings.ts";
import styles from "./run-filter.module.css";

const FIELD = "filter-runs";

/** What the line belongs to. */
export interface FilterHost {
  readonly help: FilterHelp;
  readonly line: string;
  /** Why the runs could not be listed, which may be the line's fault. */
  readonly error: ApiError | null;
  write(line: string): void;
  /** Somebody is done with the line and goes on to what was found. */
  leave(): void;
}

/** Puts a proposal into the line and the cursor behind it. */
function take(host: FilterHost, item: number): void {
  const help = host.help;
  const field = document.getElementById(FIELD);
  const taken = help.taken(field instanceof HTMLInputElement ? field.value : host.line, item);
  if (taken === null || !(field instanceof HTMLInputElement)) return;
  field.value = taken.text;
  field.setSelectionRange(taken.place, taken.place);
  field.focus();
  host.write(taken.text);
  help.typed(taken.text, taken.place);
}

function onKey(event: KeyboardEvent, host: FilterHost): void {
  const help = host.help;
  const { length } = help.items.peek();
  const chosen = help.chosen.peek();
  if (event.isComposing) return;
  if (event.key === "ArrowDown" && length > 0) help.move(1);
  else if (event.key === "ArrowUp" && length > 0) help.move(-1);
  else if (event.key === "Enter" && chosen >= 0) take(host, chosen);
  else if (event.key === "Escape" && length > 0) help.close();
  else if (event.key === "Enter" || event.key === "ArrowDown") {
    // On to what was found.
    help.close();
    host.leave();
  } else return;
  event.preventDefault();
}

function Proposals({ host }: { host: FilterHost }): JSX.Element | null {
  const help = host.help;
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
          onClick={() => take(host, i)}
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

export function RunFilter({ host }: { host: FilterHost }): JSX.Element {
  const help = host.help;
  const { line, error } = host;
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
          host.write(event.currentTarget.value);
          typed(event.currentTarget);
        }}
        onFocus={(event) => typed(event.currentTarget)}
        onBlur={() => help.close()}
        onKeyDown={(event) => onKey(event, host)}
      />
      <Proposals host={host} />
      {error !== null && place !== null && <Fault line={line.trim()} place={place} why={error.message} />}
    </div>
  );
}
