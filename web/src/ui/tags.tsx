/** Tags that can be taken away, and a field that adds one. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { t } from "../strings.ts";
import { Icon } from "./icons.tsx";
import styles from "./tags.module.css";

const text = t.edit;

interface TagsProps {
  tags: readonly string[];
  /** Makes other tags of those that are there by then; returns why that was not possible. */
  change: (made: (tags: readonly string[]) => readonly string[]) => Promise<string | null>;
}

export function Tags({ tags, change }: TagsProps): JSX.Element {
  const [typed, setTyped] = useState("");
  const [why, setWhy] = useState<string | null>(null);
  const remove = async (tag: string): Promise<void> => {
    setWhy(await change((now) => now.filter((other) => other !== tag)));
  };
  const add = async (): Promise<void> => {
    const tag = typed.trim();
    // At once, because the next one may be typed before this one is saved.
    setTyped("");
    if (tag === "" || tags.includes(tag)) return;
    const failed = await change((now) => (now.includes(tag) ? now : [...now, tag]));
    setWhy(failed);
    if (failed !== null) setTyped((next) => next || tag);
  };
  return (
    <span class={styles.tags}>
      {tags.map((tag) => (
        <span key={tag} class={styles.tag}>
          <span class={styles.text}>{tag}</span>
          <button
            type="button"
            class={styles.remove}
            aria-label={text.removeTag(tag)}
            title={text.removeTag(tag)}
            onClick={() => void remove(tag)}
          >
            <Icon name="close" />
          </button>
        </span>
      ))}
      <input
        id="add-tag"
        class={styles.add}
        type="text"
        aria-label={text.addTag}
        placeholder={text.addTagHint}
        value={typed}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onBlur={() => void add()}
        onKeyDown={(event) => {
          if (event.isComposing) return;
          if (event.key === "Enter") void add();
          else if (event.key === "Escape") setTyped("");
        }}
      />
      {why !== null && (
        <span class={styles.why} role="alert">
          {why}
        </span>
      )}
    </span>
  );
}
