/** The command palette: type what you look for, Enter does it. */
import type { JSX } from "preact";
import { type Command, chosen, type Found, find, overlay, typed } from "../state/palette.ts";
import { t } from "../strings.ts";
import { Dialog } from "../ui/dialog.tsx";
import styles from "./palette.module.css";

function close(): void {
  overlay.value = null;
}

function run(command: Command | undefined): void {
  if (command === undefined) return;
  close();
  command.act();
}

/** The text with the letters marked that were typed. */
function Text({ found }: { found: Found }): JSX.Element {
  const at = new Set(found.at);
  return (
    <span class={styles.text}>
      {[...found.command.text].map((letter, i) => (at.has(i) ? <b key={i}>{letter}</b> : letter))}
    </span>
  );
}

function onKey(event: KeyboardEvent, found: readonly Found[]): void {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by !== undefined) chosen.value = Math.min(found.length - 1, Math.max(0, chosen.peek() + by));
  else if (event.key === "Enter" && !event.isComposing) run(found[chosen.peek()]?.command);
  else return;
  event.preventDefault();
  document.getElementById(`command-${chosen.peek()}`)?.scrollIntoView({ block: "nearest" });
}

export function Palette({ commands }: { commands: readonly Command[] }): JSX.Element {
  const found = find(commands, typed.value);
  const at = Math.min(chosen.value, found.length - 1);
  return (
    <Dialog label={t.palette.title} kind="top" onClose={close}>
      <input
        class={styles.input}
        role="combobox"
        aria-label={t.palette.hint}
        aria-expanded="true"
        aria-controls="commands"
        aria-activedescendant={at < 0 ? undefined : `command-${at}`}
        placeholder={t.palette.hint}
        autocomplete="off"
        data-first
        value={typed.value}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          chosen.value = 0;
        }}
        onKeyDown={(event) => onKey(event, found)}
      />
      <div id="commands" class={styles.list} role="listbox" aria-label={t.palette.title}>
        {found.map((one, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the combobox above.
          <div
            key={`${one.command.kind} ${one.command.text}`}
            id={`command-${i}`}
            class={styles.command}
            role="option"
            aria-selected={i === at}
            tabIndex={-1}
            onClick={() => run(one.command)}
          >
            <Text found={one} />
            <span class={styles.kind}>{t.palette.kinds[one.command.kind]}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p class={styles.none}>{t.palette.none}</p>}
    </Dialog>
  );
}
