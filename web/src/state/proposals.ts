/** What may stand at the cursor of the filter line: asked of the server as somebody types, the newest answer counts. */
import { type Signal, signal } from "@preact/signals";
import { api, type Proposals } from "../data/api.ts";
import { type Clock, wallClock } from "./scheduler.ts";

const WAIT_MS = 120;
const SHOWN_MAX = 8;

export class FilterHelp {
  readonly items: Signal<Proposals["items"]> = signal([]);
  /** Which of the items Enter would take; -1 = none, so that Enter goes on to the runs. */
  readonly chosen = signal(-1);
  private answer: Proposals | null = null;
  private asked = 0;
  private cancel: () => void = () => undefined;

  private readonly project: string;
  private readonly clock: Clock;

  constructor(project: string, clock: Clock = wallClock) {
    this.project = project;
    this.clock = clock;
  }

  /** The line is now `text`, with the cursor after `place` characters. */
  typed(text: string, place: number): void {
    this.cancel();
    const number = ++this.asked;
    this.chosen.value = -1;
    this.cancel = this.clock.after(WAIT_MS, () => void this.ask(number, text, place));
  }

  move(by: 1 | -1): void {
    const { length } = this.items.peek();
    this.chosen.value = Math.min(length - 1, Math.max(-1, this.chosen.peek() + by));
  }

  /** The line with an item in its place, and where the cursor is then; null when there is no such item. */
  taken(line: string, item: number): { text: string; place: number } | null {
    const chosen = this.items.peek()[item];
    if (chosen === undefined || this.answer === null) return null;
    const letters = [...line];
    const at = this.answer.column - 1;
    letters.splice(at, this.answer.length, chosen.text);
    const place = letters.slice(0, at + 1).join("").length;
    return { text: letters.join(""), place };
  }

  /** Nobody types any more. */
  close(): void {
    this.cancel();
    this.asked += 1;
    this.items.value = [];
    this.chosen.value = -1;
  }

  private async ask(number: number, text: string, place: number): Promise<void> {
    try {
      // The server counts characters, not the halves of which a browser counts some of them.
      const answer = await api.complete(this.project, text, [...text.slice(0, place)].length);
      if (number !== this.asked) return;
      this.answer = answer;
      const typed = [...text].slice(answer.column - 1, answer.column - 1 + answer.length).join("");
      const news = answer.items.filter((item) => item.text !== typed);
      this.items.value = news.slice(0, SHOWN_MAX);
    } catch {
      // Help that does not come is no news; what is wrong with the line the list says.
      if (number === this.asked) this.items.value = [];
    }
  }
}
