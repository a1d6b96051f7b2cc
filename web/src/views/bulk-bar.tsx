/** What can be done with the selected runs, and what became of it, with a way back. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import * as format from "../format.ts";
import type { BulkWish, Outcome } from "../state/bulk.ts";
import type { RunsPage } from "../state/runs.ts";
import { t } from "../strings.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Mount } from "../ui/mount.tsx";
import styles from "./bulk-bar.module.css";
import { compareSelected } from "./table-keys.ts";

const words = t.table.bulk;
/** A message with a way back goes by itself after this, unless somebody is at it. */
const TOAST_MS = 10_000;
const text = signal("");

function act(page: RunsPage, wish: BulkWish): void {
  void page.bulk.act(wish, [...page.selected.peek()]);
}

/** True if some selected run that is loaded is archived: then the archive can be left too. */
function someArchived(page: RunsPage): boolean {
  page.rows.version.value;
  const count = Math.min(page.rows.count.value ?? 0, 1000);
  for (let row = 0; row < count; row++) {
    const found = page.rows.at(row);
    if (found?.kind === "run" && found.item.cells.get("archived") === true) return true;
  }
  return false;
}

export function BulkBar({ page }: { page: RunsPage }): JSX.Element | null {
  const { size } = page.selected.value;
  const busy = page.bulk.busy.value;
  const loading = page.selecting.value;
  if (loading !== null)
    return (
      <p class={styles.bar} role="status">
        {words.loading(format.count(loading))}
      </p>
    );
  if (busy !== null)
    return (
      <p class={styles.bar} role="status">
        {words.busy(format.count(busy.done), format.count(busy.of))}
      </p>
    );
  if (size === 0) return null;
  const open = (dialog: "tags" | "group") => () => {
    text.value = "";
    page.dialog.value = dialog;
  };
  return (
    <div class={styles.bar} role="toolbar" aria-label={words.label}>
      <span class={styles.count}>{words.selected(format.count(size))}</span>
      <button type="button" onClick={() => compareSelected(page)}>
        {words.compare}
      </button>
      <button type="button" onClick={open("tags")}>
        {words.tag}
      </button>
      <button type="button" onClick={open("group")}>
        {words.group}
      </button>
      <button type="button" onClick={() => act(page, { do: "archive" })}>
        {words.archive}
      </button>
      {someArchived(page) && (
        <button type="button" onClick={() => act(page, { do: "unarchive" })}>
          {words.unarchive}
        </button>
      )}
      <button type="button" class={styles.delete} onClick={() => act(page, { do: "delete" })}>
        {words.delete}
      </button>
      <button type="button" onClick={() => page.clearSelection()}>
        {words.clear}
      </button>
    </div>
  );
}

function said(outcome: Outcome): string {
  if (outcome.failure !== null && outcome.changed === 0) return words.failed(outcome.failure);
  const parts = [words.done[outcome.did](words.runs(format.count(outcome.changed)))];
  if (outcome.refused > 0) parts.push(words.refused(words.runs(format.count(outcome.refused)), outcome.why));
  if (outcome.failure !== null) parts.push(words.failed(outcome.failure));
  return parts.join(". ");
}

/** Sends the message away after a while in which nobody was at it. */
function fade(host: HTMLElement, done: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const area = host.parentElement ?? host;
  const stay = (): void => clearTimeout(timer);
  const go = (): void => {
    stay();
    timer = setTimeout(done, TOAST_MS);
  };
  const on: readonly (readonly [string, () => void])[] = [
    ["pointerenter", stay],
    ["focusin", stay],
    ["pointerleave", go],
    ["focusout", go],
  ];
  for (const [name, listener] of on) area.addEventListener(name, listener);
  go();
  return () => {
    stay();
    for (const [name, listener] of on) area.removeEventListener(name, listener);
  };
}

export function BulkToast({ page }: { page: RunsPage }): JSX.Element {
  const outcome = page.bulk.outcome.value;
  return (
    <div role="status" class={styles.status}>
      {outcome !== null && (
        <div class={styles.toast}>
          <Mount
            key={`${outcome.did} ${outcome.changed}`}
            start={(host) => fade(host, () => page.bulk.dismiss())}
          />
          <span>{said(outcome)}</span>
          {outcome.undo.length > 0 && (
            <button type="button" onClick={() => void page.bulk.undo()}>
              {words.undo}
            </button>
          )}
          <button type="button" onClick={() => page.bulk.dismiss()}>
            {words.dismiss}
          </button>
        </div>
      )}
    </div>
  );
}

const tagsOf = (line: string): string[] =>
  line
    .split(",")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");

/** Asks for tags or for a group, then does it. */
export function BulkDialog({ page, kind }: { page: RunsPage; kind: "tags" | "group" }): JSX.Element {
  const n = format.count(page.selected.value.size);
  const close = (): void => {
    page.dialog.value = null;
  };
  const tag = (deed: "tag" | "untag"): void => {
    const tags = tagsOf(text.peek());
    if (tags.length === 0) return;
    close();
    act(page, { do: deed, tags });
  };
  const submit = (): void => {
    if (kind === "tags") tag("tag");
    else {
      close();
      act(page, { do: "group", group: text.peek().trim() });
    }
  };
  const title = kind === "tags" ? words.tagTitle(n) : words.groupTitle(n);
  const hint = kind === "tags" ? words.tagHint : words.groupHint;
  return (
    <Dialog label={title} kind="centre" onClose={close}>
      <form
        class={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <h2>{title}</h2>
        <label>
          {hint}
          <input
            type="search"
            data-first
            value={text.value}
            onInput={(event) => {
              text.value = event.currentTarget.value;
            }}
          />
        </label>
        <span class={styles.buttons}>
          <button type="submit">{kind === "tags" ? words.add : words.move}</button>
          {kind === "tags" && (
            <button type="button" onClick={() => tag("untag")}>
              {words.remove}
            </button>
          )}
          <button type="button" onClick={close}>
            {t.cancel}
          </button>
        </span>
      </form>
    </Dialog>
  );
}
