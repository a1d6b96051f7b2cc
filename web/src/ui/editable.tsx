/**
 * Text that can be changed where it stands. It is saved over the version that the change began with, so that nobody
 * writes over what they have not seen; when somebody else was faster, what was typed stays, with the reason, and can be
 * saved again over what is there by then.
 */
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { t } from "../strings.ts";
import styles from "./editable.module.css";
import { Tool } from "./tool.tsx";

interface EditableProps {
  /** Of the button, for shortcuts. */
  id: string;
  label: string;
  value: string;
  /** Stands for what is there now. */
  version: string;
  /** Several lines; Ctrl-Enter saves. */
  lines?: boolean;
  /** Saves over a version; returns why that was not possible. */
  save: (text: string, version: string) => Promise<string | null>;
  /** How the value looks while it is not being changed. */
  children: ComponentChildren;
}

export function Editable(props: EditableProps): JSX.Element {
  const { id, label, value, version, lines = false, save, children } = props;
  const host = useRef<HTMLSpanElement>(null);
  const [started, setStarted] = useState<string | null>(null);
  const [text, setText] = useState("");
  const [why, setWhy] = useState<string | null>(null);
  const [saving, setSaving] = useState(false);
  const editing = started !== null;
  useLayoutEffect(() => {
    const field = host.current?.querySelector<HTMLInputElement | HTMLTextAreaElement>("input, textarea");
    field?.focus();
    field?.select();
  }, [editing]);
  const end = (): void => {
    setStarted(null);
    setWhy(null);
    requestAnimationFrame(() => document.getElementById(id)?.focus());
  };
  const keep = async (): Promise<void> => {
    if (started === null || saving) return;
    if (text === value) return end();
    setSaving(true);
    const failed = await save(text, why === null ? started : version);
    setSaving(false);
    if (failed === null) end();
    else setWhy(failed);
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.isComposing) return;
    if (event.key === "Escape") end();
    else if (event.key === "Enter" && (!lines || event.ctrlKey || event.metaKey)) void keep();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  if (!editing)
    return (
      <span ref={host} class={styles.shown}>
        {children}
        <Tool
          id={id}
          icon="edit"
          label={label}
          onClick={() => {
            setText(value);
            setStarted(version);
          }}
        />
      </span>
    );
  const field = {
    class: styles.field,
    "aria-label": label,
    "aria-invalid": why !== null,
    value: text,
    onInput: (event: { currentTarget: { value: string } }) => setText(event.currentTarget.value),
    onKeyDown: onKey,
  };
  return (
    <span ref={host} class={styles.editing}>
      {lines ? <textarea {...field} rows={4} /> : <input type="text" {...field} />}
      <span class={styles.deeds}>
        <button type="button" disabled={saving} onClick={() => void keep()}>
          {t.edit.save}
        </button>
        <button type="button" onClick={end}>
          {t.cancel}
        </button>
      </span>
      {why !== null && (
        <span class={styles.why} role="alert">
          {why}
        </span>
      )}
    </span>
  );
}
