/**
 * A dialog that is in the page while it is open; Esc and a click beside it close it. What has `data-first` gets the
 * focus.
 */
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import styles from "./dialog.module.css";

interface DialogProps {
  label: string;
  /** `sheet` covers a narrow window, `full` any; `top` hangs below the top bar. */
  kind: "centre" | "top" | "sheet" | "full";
  onClose: () => void;
  /** Keys that nothing inside has taken. */
  onKey?: (event: KeyboardEvent) => void;
  children: ComponentChildren;
}

export function Dialog({ label, kind, onClose, onKey, children }: DialogProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  // What is inside comes once the dialog is open: before, it has no size that could be measured.
  const [open, setOpen] = useState(false);
  useLayoutEffect(() => {
    const element = dialog.current;
    // Who had the focus gets it back: the browser remembers that for a modal dialog that closes.
    element?.showModal();
    setOpen(true);
    return () => element?.close();
  }, []);
  useLayoutEffect(() => {
    if (open) (dialog.current?.querySelector<HTMLElement>("[data-first]") ?? dialog.current)?.focus();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      class={`${styles.dialog} ${styles[kind] ?? ""}`}
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onKeyDown={onKey}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      {open && children}
    </dialog>
  );
}
