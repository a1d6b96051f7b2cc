/** The editor of one cell: a line for names and groups, several for notes, chips for tags. */
import type { JSX } from "preact";
import type { Field, RunEditing, Value } from "../state/run-edit.ts";
import { t } from "../strings.ts";
import { Mount } from "../ui/mount.tsx";
import styles from "./cell-editor.module.css";

const words = t.table.edit;

interface EditorProps {
  edit: RunEditing;
  field: Field;
  /** Gives the focus back to the table. */
  onClose: () => void;
}

function said(value: Value): string {
  const text = typeof value === "string" ? value : value.join(", ");
  return text === "" ? words.empty : text;
}

function Line({ edit, field }: { edit: RunEditing; field: Field }): JSX.Element {
  const several = field === "notes";
  const value = String(edit.draft.value);
  const shared = {
    "aria-label": words[field],
    "data-editor": true,
    value,
    onInput: (event: Event) => {
      const { currentTarget } = event;
      if (currentTarget instanceof HTMLInputElement || currentTarget instanceof HTMLTextAreaElement)
        edit.draft.value = currentTarget.value;
    },
  };
  return several ? (
    <textarea {...shared} rows={4} maxLength={65_536} title={words.hintNotes} />
  ) : (
    <input {...shared} type="text" maxLength={512} />
  );
}

function withTag(tags: readonly string[], text: string): readonly string[] {
  const more = text
    .split(",")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");
  return [...new Set([...tags, ...more])];
}

function Tags({ edit }: { edit: RunEditing }): JSX.Element {
  const draft = edit.draft.value;
  const tags = typeof draft === "string" ? [] : draft;
  const add = (field: HTMLInputElement): void => {
    edit.draft.value = withTag(tags, field.value);
    field.value = "";
  };
  return (
    <span class={styles.tags}>
      {tags.map((tag) => (
        <button
          key={tag}
          type="button"
          class={styles.chip}
          aria-label={words.removeTag(tag)}
          title={words.removeTag(tag)}
          onClick={() => {
            edit.draft.value = tags.filter((other) => other !== tag);
          }}
        >
          {tag} <span aria-hidden="true">×</span>
        </button>
      ))}
      <input
        type="text"
        aria-label={words.addTag}
        placeholder={words.addTag}
        data-editor
        maxLength={256}
        onKeyDown={(event) => {
          const field = event.currentTarget;
          if ((event.key === "Enter" || event.key === ",") && field.value.trim() !== "") {
            add(field);
            if (event.key === ",") event.preventDefault();
            // The next Enter saves.
            if (!event.ctrlKey) event.stopPropagation();
          } else if (event.key === "Backspace" && field.value === "") {
            edit.draft.value = tags.slice(0, -1);
          }
        }}
        onBlur={(event) => add(event.currentTarget)}
      />
    </span>
  );
}

/** Puts the cursor into the editor that is beside the element. */
function takeFocus(beside: HTMLElement): () => void {
  const input = beside.parentElement?.querySelector<HTMLInputElement | HTMLTextAreaElement>("[data-editor]");
  input?.focus({ preventScroll: true });
  input?.select();
  return () => undefined;
}

export function CellEditor({ edit, field, onClose }: EditorProps): JSX.Element {
  const close = (): void => {
    edit.cancel();
    onClose();
  };
  const save = async (over = false): Promise<void> => {
    await edit.save(over);
    if (edit.open.peek() === null) onClose();
  };
  const theirs = edit.theirs.value;
  return (
    <form
      class={styles.editor}
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
      onKeyDown={(event) => {
        // The table's own keys are not for those who write.
        event.stopPropagation();
        if (event.isComposing) return;
        if (event.key === "Escape") close();
        else if (event.key === "Enter" && (field !== "notes" || event.ctrlKey || event.metaKey)) {
          if (event.target instanceof HTMLButtonElement) return;
          void save();
        } else return;
        event.preventDefault();
      }}
      onPointerDown={(event) => event.stopPropagation()}
      onDblClick={(event) => event.stopPropagation()}
    >
      <Mount start={takeFocus} />
      {field === "tags" ? <Tags edit={edit} /> : <Line edit={edit} field={field} />}
      {theirs !== null && (
        <p class={styles.conflict} role="alert">
          {words.meanwhile(words[field], said(theirs))}
        </p>
      )}
      {edit.error.value !== null && (
        <p class={styles.conflict} role="alert">
          {words.failed(edit.error.value)}
        </p>
      )}
      <span class={styles.buttons}>
        {theirs === null ? (
          <button type="submit" disabled={edit.busy.value}>
            {words.save}
          </button>
        ) : (
          <>
            <button type="button" onClick={() => void save(true)}>
              {words.saveMine}
            </button>
            <button type="button" onClick={close}>
              {words.keepTheirs}
            </button>
          </>
        )}
        {theirs === null && (
          <button type="button" onClick={close}>
            {t.cancel}
          </button>
        )}
      </span>
    </form>
  );
}
