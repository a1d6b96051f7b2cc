/** A dialog in which one run of a project is looked for and chosen. */
import type { JSX } from "preact";
import type { FoundRun, RunSearch } from "../state/run-search.ts";
import { t } from "../strings.ts";
import { DayMark } from "../ui/day-mark.tsx";
import { Dialog } from "../ui/dialog.tsx";
import styles from "./palette.module.css";

interface PickerProps {
  title: string;
  search: RunSearch;
  /** Runs that are not offered. */
  without: readonly string[];
  onPick: (run: FoundRun) => void;
  onClose: () => void;
}

export function RunPicker({ title, search, without, onPick, onClose }: PickerProps): JSX.Element {
  const found = (search.found.value ?? []).filter(({ id }) => !without.includes(id));
  const at = Math.min(search.chosen.value, found.length - 1);
  const pick = (run: FoundRun | undefined): void => {
    if (run !== undefined) onPick(run);
  };
  const onKey = (event: KeyboardEvent): void => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by !== undefined) search.chosen.value = Math.min(found.length - 1, Math.max(0, at + by));
    else if (event.key === "Enter" && !event.isComposing) pick(found[at]);
    else return;
    event.preventDefault();
    document.getElementById(`pick-${search.chosen.peek()}`)?.scrollIntoView({ block: "nearest" });
  };
  return (
    <Dialog label={title} kind="top" onClose={onClose}>
      <input
        class={styles.input}
        role="combobox"
        aria-label={title}
        aria-expanded="true"
        aria-controls="pick"
        aria-activedescendant={at < 0 ? undefined : `pick-${at}`}
        placeholder={t.picker.hint}
        autocomplete="off"
        data-first
        value={search.typed.value}
        onInput={(event) => {
          search.typed.value = event.currentTarget.value;
        }}
        onKeyDown={onKey}
      />
      <div id="pick" class={styles.list} role="listbox" aria-label={title}>
        {found.map((run, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the combobox above.
          <div
            key={run.id}
            id={`pick-${i}`}
            class={styles.command}
            role="option"
            aria-selected={i === at}
            tabIndex={-1}
            onClick={() => pick(run)}
          >
            <DayMark state={run.state} />
            <span class={styles.text}>{run.name}</span>
            <code class={styles.kind}>{run.id}</code>
          </div>
        ))}
      </div>
      {search.error.value !== null && <p class={styles.none}>{search.error.value}</p>}
      {search.error.value === null && search.found.value !== null && found.length === 0 && (
        <p class={styles.none}>{t.picker.none}</p>
      )}
    </Dialog>
  );
}
