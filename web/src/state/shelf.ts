/** Views that a project keeps on its server under a name, for everybody: listed, opened, saved. */
import { computed, type Signal, signal } from "@preact/signals";
import { ApiError, api, type ViewAbout } from "../data/api.ts";
import { queryText } from "./router.ts";
import { decodeView, encodeView, type View } from "./view.ts";

/** Number of the form of what is kept: the query of the page's address. */
const SCHEMA = 1;
const KIND = "workspace";

/** A view as it is kept: what belongs to one look only is not. */
export function keptText(view: View): string {
  return queryText(encodeView({ ...view, full: null, saved: null }));
}

interface Open {
  readonly about: ViewAbout;
  /** As it is kept. */
  readonly text: string;
}

/** An id for a new view: its name as far as an id may have it, and something that no other has. */
export function newId(name: string, random: string): string {
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return `${plain.slice(0, 40) || "view"}-${random}`;
}

export class Shelf {
  /** Null until they have been asked for. */
  readonly views: Signal<readonly ViewAbout[] | null> = signal(null);
  readonly opened: Signal<Open | null> = signal(null);
  /** Why the last wish was not granted. */
  readonly error = signal<string | null>(null);
  private readonly abort = new AbortController();

  private readonly project: string;
  private readonly view: Signal<View> | { readonly value: View; peek(): View };
  private readonly adopt: (view: View) => void;

  /** `adopt` looks at the project through another view. */
  constructor(project: string, view: { readonly value: View; peek(): View }, adopt: (view: View) => void) {
    this.project = project;
    this.view = view;
    this.adopt = adopt;
  }

  /** True when what is shown is not what is kept under the open view's name. */
  readonly modified = computed(() => {
    const open = this.opened.value;
    return open !== null && keptText(this.view.value) !== open.text;
  });

  /** The name of the open view; null when there is none. */
  readonly name = computed(() => {
    const open = this.opened.value;
    return open !== null && this.view.value.saved === open.about.id ? open.about.name : null;
  });

  list(): Promise<void> {
    return this.attempt(async () => {
      this.views.value = (await api.views(this.project, this.abort.signal)).views;
    });
  }

  /** Shows a kept view; with `only`, learns what it is and leaves alone what is shown. */
  open(id: string, only = false): Promise<void> {
    return this.attempt(async () => {
      const found = await api.view(this.project, id, this.abort.signal);
      const { kind, query } = found.content;
      if (kind !== KIND || typeof query !== "string")
        throw new ApiError(0, "newer_view", `${found.name}: ${String(kind)} ${String(found.content.schema)}`);
      const view = decodeView(new URLSearchParams(query));
      this.opened.value = { about: found, text: keptText(view) };
      if (!only) this.adopt({ ...view, saved: id });
    });
  }

  /** Keeps what is shown under the open view's name, unless somebody else has changed that meanwhile. */
  save(): Promise<void> {
    return this.attempt(async () => {
      const open = this.opened.peek();
      if (open !== null)
        await this.keep(open.about.id, open.about.name, { "If-Match": `"${open.about.edit_tag}"` });
    });
  }

  /** Keeps what is shown under a new name. */
  saveAs(name: string): Promise<void> {
    const id = newId(name, crypto.getRandomValues(new Uint32Array(1))[0]?.toString(36) ?? "0");
    return this.attempt(() => this.keep(id, name, { "If-None-Match": "*" }));
  }

  drop(id: string): Promise<void> {
    return this.attempt(async () => {
      await api.dropView(this.project, id);
      if (this.opened.peek()?.about.id === id) this.opened.value = null;
      this.views.value = (this.views.peek() ?? []).filter((view) => view.id !== id);
    });
  }

  stop(): void {
    this.abort.abort();
  }

  private async keep(id: string, name: string, match: Record<string, string>): Promise<void> {
    const text = keptText(this.view.peek());
    const content = { schema: SCHEMA, kind: KIND, query: text };
    const about = await api.keepView(this.project, id, { name, content }, match);
    this.opened.value = { about, text };
    this.adopt({ ...this.view.peek(), saved: id });
    this.views.value = (await api.views(this.project, this.abort.signal)).views;
  }

  private async attempt(deed: () => Promise<void>): Promise<void> {
    try {
      await deed();
      this.error.value = null;
    } catch (error) {
      if (!this.abort.signal.aborted)
        this.error.value = error instanceof Error ? error.message : String(error);
    }
  }
}
