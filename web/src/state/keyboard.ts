/** Shortcuts: what is bound, what a key press means. The list that `?` shows is made of the same bindings. */
import { type Signal, signal } from "@preact/signals";
import { singleKeys } from "./preferences.ts";

export type Group = "runs" | "table" | "panels" | "view" | "page";

export interface Binding {
  /** As `event.key` has it, with `Ctrl+`, `Alt+` and `Shift+` in this order; several mean the same. */
  readonly keys: readonly string[];
  readonly group: Group;
  readonly text: string;
  /** Missing for what a part of the page does by itself and the list only tells. */
  readonly act?: () => void;
}

/** Bindings of the open page. */
export const bindings: Signal<readonly Binding[]> = signal([]);

/** The name of a key press. Shift counts only where it does not make another character by itself. */
export function pressed(
  event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">,
): string {
  const { key } = event;
  const letter = key.length === 1 && key.toLowerCase() !== key.toUpperCase();
  const shift = event.shiftKey && (letter || key.length > 1);
  const name = key === " " ? "Space" : letter ? key.toLowerCase() : key;
  const ctrl = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  return `${ctrl}${event.altKey ? "Alt+" : ""}${shift ? "Shift+" : ""}${name}`;
}

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName) || isTextInput(target));

function isTextInput(target: HTMLElement): boolean {
  return target instanceof HTMLInputElement && !/^(checkbox|radio|button|range)$/.test(target.type);
}

/** Whether a key press is for a shortcut: not while somebody types, and a dialog keeps its keys to itself. */
export function isFree(event: KeyboardEvent, name: string): boolean {
  if (event.defaultPrevented || event.isComposing) return false;
  if (name.startsWith("Ctrl+")) return name === "Ctrl+k" || !typing(event.target);
  if (!singleKeys.peek() || typing(event.target)) return false;
  if (document.querySelector("dialog[open]") !== null) return false;
  return !OWN_KEYS.some(([what, keys]) => keys.test(name) && isInside(event.target, what));
}

/** Keys that mean something to what has the focus. */
const OWN_KEYS: readonly (readonly [string, RegExp])[] = [
  ["button, summary, [role=separator]", /^(Space|Enter|Arrow.*)$/],
  ["a", /^Enter$/],
  ["[role=img][tabindex]", /^(Shift\+)?(Arrow.*|Enter)$/],
];

function isInside(target: EventTarget | null, what: string): boolean {
  return target instanceof Element && target.closest(what) !== null;
}

/** Starts to listen; once for the life of the page. */
export function startKeyboard(): void {
  addEventListener("keydown", (event) => {
    const name = pressed(event);
    const binding = bindings.peek().find(({ keys, act }) => act !== undefined && keys.includes(name));
    if (binding?.act === undefined || !isFree(event, name)) return;
    event.preventDefault();
    binding.act();
  });
}
