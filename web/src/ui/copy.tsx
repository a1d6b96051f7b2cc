/** A block of code with a button that copies it. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { t } from "../strings.ts";
import styles from "./copy.module.css";

/** Copies without the clipboard API too, which browsers offer on https and localhost only. */
export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

export function CopyBlock({ text }: { text: string }): JSX.Element {
  const done = useSignal(false);
  return (
    <div class={styles.block}>
      <pre>
        <code>{text}</code>
      </pre>
      <button
        type="button"
        onClick={() =>
          void copyText(text).then(() => {
            done.value = true;
          })
        }
      >
        {done.value ? t.projects.copied : t.projects.copy}
      </button>
    </div>
  );
}
