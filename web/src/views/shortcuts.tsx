/** The list of shortcuts, made of the bindings of the page, and the switch for those of a single key. */
import type { JSX } from "preact";
import { type Binding, bindings, type Group } from "../state/keyboard.ts";
import { overlay } from "../state/palette.ts";
import { singleKeys } from "../state/preferences.ts";
import { t } from "../strings.ts";
import { Dialog } from "../ui/dialog.tsx";
import styles from "./shortcuts.module.css";

const SYMBOLS: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  "-": "−",
};

/** A key press as it is written on a keyboard. */
export function keyText(name: string): string {
  const parts = name.length > 1 ? name.split("+").filter((part) => part !== "") : [name];
  return parts.map((part) => SYMBOLS[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(" ");
}

function Rows({ group, all }: { group: Group; all: readonly Binding[] }): JSX.Element | null {
  const mine = all.filter((binding) => binding.group === group);
  if (mine.length === 0) return null;
  return (
    <section>
      <h3>{t.keyboard.groups[group]}</h3>
      <dl class={styles.keys}>
        {mine.map((binding) => (
          <div key={binding.text}>
            <dt>
              {binding.keys.map((key) => (
                <kbd key={key}>{keyText(key)}</kbd>
              ))}
            </dt>
            <dd>{binding.text}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

export function Shortcuts(): JSX.Element {
  const close = (): void => {
    overlay.value = null;
  };
  return (
    <Dialog label={t.keyboard.title} kind="centre" onClose={close}>
      <div class={styles.head}>
        <h2>{t.keyboard.title}</h2>
        <label>
          <input
            type="checkbox"
            checked={singleKeys.value}
            onChange={(event) => {
              singleKeys.value = event.currentTarget.checked;
            }}
          />
          {t.keyboard.single}
        </label>
        <button type="button" data-first onClick={close}>
          {t.keyboard.close}
        </button>
      </div>
      {(["runs", "table", "panels", "view", "page"] as const).map((group) => (
        <Rows key={group} group={group} all={bindings.value} />
      ))}
    </Dialog>
  );
}
