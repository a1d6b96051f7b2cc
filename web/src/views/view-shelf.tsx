/** The button that names the open view, and the dialog of kept views behind it. */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { JSX } from "preact";
import type { Shelf } from "../state/shelf.ts";
import type { View } from "../state/view.ts";
import { t } from "../strings.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Tool } from "../ui/tool.tsx";
import styles from "./view-shelf.module.css";

/** A page whose view can be kept. */
interface Shelved {
  readonly shelf: Shelf;
  readonly view: ReadonlySignal<View>;
}

const words = t.views;
const open = signal(false);
const name = signal("");

function Kept({ page }: { page: Shelved }): JSX.Element | null {
  const { shelf } = page;
  const views = shelf.views.value;
  if (views === null) return null;
  if (views.length === 0) return <p class="quiet">{words.none}</p>;
  return (
    <ul class={styles.list}>
      {views.map((view) => (
        <li key={view.id}>
          <button
            type="button"
            class={styles.view}
            aria-current={page.view.value.saved === view.id ? "true" : undefined}
            onClick={() => {
              open.value = false;
              void shelf.open(view.id);
            }}
          >
            {view.name}
          </button>
          <Tool icon="close" label={words.drop(view.name)} onClick={() => void shelf.drop(view.id)} />
        </li>
      ))}
    </ul>
  );
}

function SaveAs({ page }: { page: Shelved }): JSX.Element {
  return (
    <form
      class={styles.form}
      onSubmit={(event) => {
        event.preventDefault();
        const wanted = name.peek().trim();
        if (wanted === "") return;
        name.value = "";
        void page.shelf.saveAs(wanted);
      }}
    >
      <label>
        {words.name}
        <input
          type="search"
          data-first
          maxLength={200}
          value={name.value}
          onInput={(event) => {
            name.value = event.currentTarget.value;
          }}
        />
      </label>
      <button type="submit">{words.saveAs}</button>
    </form>
  );
}

export function ViewShelf({ page }: { page: Shelved }): JSX.Element {
  const { shelf } = page;
  const called = shelf.name.value;
  const changed = called !== null && shelf.modified.value;
  return (
    <span class={styles.shelf}>
      <button
        type="button"
        onClick={() => {
          open.value = true;
          void shelf.list();
        }}
      >
        {words.button(called, changed)}
      </button>
      {changed && (
        <button type="button" onClick={() => void shelf.save()}>
          {words.save}
        </button>
      )}
      {!open.value && shelf.error.value !== null && <span class={styles.error}>{shelf.error.value}</span>}
      {open.value && (
        <Dialog
          label={words.title}
          kind="centre"
          onClose={() => {
            open.value = false;
          }}
        >
          <h2>{words.title}</h2>
          <SaveAs page={page} />
          {shelf.error.value !== null && <p class={styles.error}>{shelf.error.value}</p>}
          <Kept page={page} />
        </Dialog>
      )}
    </span>
  );
}
