/** What the command palette finds: pure matching, and which of the dialogs of the keyboard is open. */
import { signal } from "@preact/signals";

export interface Command {
  readonly kind: "run" | "column" | "panel" | "section" | "action" | "project";
  readonly text: string;
  readonly act: () => void;
}

export interface Found {
  readonly command: Command;
  /** Places of the text that match what was typed. */
  readonly at: readonly number[];
}

const FOUND_MAX = 50;

/** The dialog that is open, if one is. */
export const overlay = signal<"palette" | "help" | null>(null);
export const typed = signal("");
/** Which of the found commands Enter would run. */
export const chosen = signal(0);

export function openPalette(): void {
  typed.value = "";
  chosen.value = 0;
  overlay.value = "palette";
}

const isStart = (text: string, i: number): boolean => i === 0 || !/[\p{L}\p{N}]/u.test(text[i - 1] ?? "");

/**
 * Where the letters of `query` are in `text`, in their order and as far together as can be; null when they are not.
 * Both are in lower case. A whole word of the query comes first where it is found as a whole.
 */
export function places(text: string, query: string): number[] | null {
  const whole = text.indexOf(query);
  if (whole >= 0) return Array.from(query, (_, i) => whole + i);
  const found: number[] = [];
  let at = 0;
  for (const letter of query.replaceAll(" ", "")) {
    const next = text.indexOf(letter, at);
    if (next < 0) return null;
    found.push(next);
    at = next + letter.length;
  }
  return found;
}

/** The lower, the better: breaks between the letters, then a start inside of a word, then the length. */
function cost(text: string, at: readonly number[]): number {
  let breaks = 0;
  for (let i = 1; i < at.length; i++) if ((at[i] as number) !== (at[i - 1] as number) + 1) breaks += 1;
  const first = at[0] ?? 0;
  return breaks * 1000 + (isStart(text, first) ? 0 : 500) + Math.min(text.length, 499);
}

/** The best matches, the best first; everything, in its own order, while nothing is typed. */
export function find(commands: readonly Command[], query: string): Found[] {
  const wanted = query.trim().toLowerCase();
  if (wanted === "") return commands.slice(0, FOUND_MAX).map((command) => ({ command, at: [] }));
  const found: { found: Found; cost: number; order: number }[] = [];
  commands.forEach((command, order) => {
    const text = command.text.toLowerCase();
    const at = places(text, wanted);
    if (at !== null) found.push({ found: { command, at }, cost: cost(text, at), order });
  });
  found.sort((a, b) => a.cost - b.cost || a.order - b.order);
  return found.slice(0, FOUND_MAX).map((one) => one.found);
}
