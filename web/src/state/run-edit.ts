/**
 * One cell of the table while somebody edits it. What is saved is saved over what they have seen only: when somebody else
 * was faster, they see that, and say which of the two it shall be.
 */
import { batch, type Signal, signal } from "@preact/signals";
import { ApiError, api, type RunEdit } from "../data/api.ts";
import type { Run } from "../data/types.ts";

export type Field = "name" | "tags" | "notes" | "group";
export type Value = string | readonly string[];

export interface EditOpen {
  readonly run: string;
  readonly field: Field;
  /** What was there when the editor opened. */
  readonly seen: Value;
}

export function fieldOf(run: Pick<Run, Field>, field: Field): Value {
  return field === "tags" ? run.tags : (run[field] ?? "");
}

const same = (a: Value, b: Value): boolean => JSON.stringify(a) === JSON.stringify(b);
/** Other fields of the run may change while this one is saved; then it is tried again. */
const TRIES = 4;

export class RunEditing {
  readonly open: Signal<EditOpen | null> = signal(null);
  readonly draft: Signal<Value> = signal("");
  /** What somebody else has made of it meanwhile. */
  readonly theirs: Signal<Value | null> = signal(null);
  readonly error = signal<string | null>(null);
  readonly busy = signal(false);
  /** The tag of what was seen, once the server has told it. */
  private tag: Promise<string> = Promise.resolve("");
  private session = 0;

  private readonly project: string;
  private readonly onSaved: (run: Run) => void;

  constructor(project: string, onSaved: (run: Run) => void) {
    this.project = project;
    this.onSaved = onSaved;
  }

  start(run: string, field: Field, seen: Value): void {
    this.session += 1;
    batch(() => {
      this.open.value = { run, field, seen };
      this.draft.value = seen;
      this.theirs.value = null;
      this.error.value = null;
      this.busy.value = false;
    });
    this.tag = this.look(this.session);
    // Saving waits for it and says what went wrong.
    this.tag.catch(() => undefined);
  }

  cancel(): void {
    this.session += 1;
    this.open.value = null;
  }

  /** Somebody else's is to stay: it is shown, and the editor closes. */
  keepTheirs(): void {
    this.cancel();
  }

  /** Saves, unless somebody else has changed it and this has not been answered; `over` answers it. */
  async save(over = false): Promise<void> {
    const { open, session } = { open: this.open.peek(), session: this.session };
    if (open === null || this.busy.peek() || (this.theirs.peek() !== null && !over)) return;
    if (same(this.draft.peek(), this.theirs.peek() ?? open.seen)) {
      this.cancel();
      return;
    }
    this.busy.value = true;
    try {
      await this.send(open, session, over);
    } catch (error) {
      if (session === this.session) this.error.value = error instanceof Error ? error.message : String(error);
    } finally {
      if (session === this.session) this.busy.value = false;
    }
  }

  private async send(open: EditOpen, session: number, over: boolean): Promise<void> {
    const edit: RunEdit = { [open.field]: this.draft.peek() };
    for (let attempt = 1; ; attempt++) {
      const tag = await this.tag;
      if (session !== this.session || (this.theirs.peek() !== null && !over)) return;
      try {
        const run = await api.patchRun(this.project, open.run, edit, tag);
        this.onSaved(run);
        if (session === this.session) this.open.value = null;
        return;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 412 || attempt === TRIES) throw error;
        // Only what is beside it may have changed; `look` tells if it was this.
        this.tag = this.look(session);
        if (over) {
          await this.tag;
          this.theirs.value = null;
        }
      }
    }
  }

  /** What the server has now: the tag for saving, and whether the field is still as it was seen. */
  private async look(session: number): Promise<string> {
    const open = this.open.peek();
    if (open === null) return "";
    const run = await api.run(this.project, open.run);
    if (session === this.session) {
      const now = fieldOf(run, open.field);
      const known = this.theirs.peek() ?? open.seen;
      if (!same(now, known)) {
        this.theirs.value = now;
        this.onSaved(run);
      }
    }
    return run.edit_tag;
  }
}
