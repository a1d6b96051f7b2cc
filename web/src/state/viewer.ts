/**
 * The view of a project that a page shows, with undo, and with its text in the address and in the browser's draft.
 *
 * The address follows the view a moment later, and the view follows the address at once: the back button, a link.
 */
import { computed, effect, type Signal, signal } from "@preact/signals";
import { browserStore, readDraft, writeDraft } from "./drafts.ts";
import { amend, begin, change, type History, redo, undo } from "./history.ts";
import { queryText, queryWords, writeQuery } from "./router.ts";
import { decodeView, encodeView, hasView, type View, type Word } from "./view.ts";

/** The address follows the view this late, because browsers refuse addresses that change too often. */
const ADDRESS_MS = 150;

/** The view of the address, or the draft where the address has none. */
function firstView(project: string, isView: (given: readonly Word[]) => boolean): View {
  const given = queryWords.peek();
  const draft = isView(given) ? null : readDraft(browserStore(), project);
  if (draft === null) return decodeView(given);
  return decodeView([...new URLSearchParams(draft), ...given]);
}

export class Viewer {
  private readonly history: Signal<History<View>>;
  private written: string;
  private pending: ReturnType<typeof setTimeout> | null = null;
  private readonly stops: (() => void)[] = [];

  private readonly project: string;
  private readonly onMoved: () => void;

  /** `onMoved` is told that the view is another one, come by the address. */
  constructor(
    project: string,
    onMoved: () => void = () => undefined,
    isView: (given: readonly Word[]) => boolean = hasView,
  ) {
    this.project = project;
    this.onMoved = onMoved;
    this.written = queryText(queryWords.peek());
    this.history = signal(begin(firstView(project, isView)));
  }

  readonly view = computed<View>(() => this.history.value.now);
  readonly canUndo = computed(() => this.history.value.past.length > 0);
  readonly canRedo = computed(() => this.history.value.future.length > 0);

  /** Begins to follow the address, and to be followed by it; when the page is made. */
  start(): void {
    this.stops.push(
      effect(() => this.writeLater(queryText(encodeView(this.view.value)))),
      effect(() => this.onAddress(queryText(queryWords.value))),
    );
  }

  /** Changes the view; changes of one `kind` that follow each other are one step back. */
  set(part: Partial<View>, kind: string | null = null): void {
    const now = this.history.peek();
    this.history.value = change(now, { ...now.now, ...part }, kind);
  }

  /** Changes what follows from other changes by itself, so that there is nothing to undo. */
  amend(part: Partial<View>): void {
    const now = this.history.peek();
    this.history.value = amend(now, { ...now.now, ...part });
  }

  /** Changes what is a step of the back button and none of undo. */
  step(part: Partial<View>, push: boolean): void {
    this.write(false);
    this.amend(part);
    this.write(push);
  }

  undo(): void {
    this.history.value = undo(this.history.peek());
  }

  redo(): void {
    this.history.value = redo(this.history.peek());
  }

  /** The address is another page's by now: what it has not yet been told goes to the draft only. */
  stop(): void {
    for (const stop of this.stops) stop();
    if (this.pending === null) return;
    clearTimeout(this.pending);
    this.pending = null;
    this.keepDraft();
  }

  private writeLater(text: string): void {
    if (text === this.written || this.pending !== null) return;
    this.pending = setTimeout(() => this.write(false), ADDRESS_MS);
  }

  private write(push: boolean): void {
    if (this.pending !== null) clearTimeout(this.pending);
    this.pending = null;
    const text = queryText(encodeView(this.view.peek()));
    if (text === this.written) return;
    this.written = text;
    this.keepDraft();
    writeQuery(text, push);
  }

  private keepDraft(): void {
    const draft = queryText(encodeView({ ...this.view.peek(), full: null }));
    writeDraft(browserStore(), this.project, draft);
  }

  private onAddress(text: string): void {
    if (text === this.written) return;
    this.written = text;
    if (this.pending !== null) clearTimeout(this.pending);
    this.pending = null;
    this.onMoved();
    const now = this.history.peek();
    this.history.value = change(now, decodeView(new URLSearchParams(text)), "address");
  }
}
