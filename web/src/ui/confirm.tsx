/** A button whose deed is asked about once more, in a dialog that the keyboard cannot leave by accident. */
import type { ComponentChildren, JSX } from "preact";
import { useId, useRef } from "preact/hooks";
import { t } from "../strings.ts";
import styles from "./confirm.module.css";

interface ConfirmProps {
  /** What the button says; the dialog's own button says the same. */
  label: string;
  title: string;
  children: ComponentChildren;
  onConfirm: () => void;
}

export function Confirm({ label, title, children, onConfirm }: ConfirmProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const close = (): void => dialog.current?.close();
  return (
    <>
      <button type="button" onClick={() => dialog.current?.showModal()}>
        {label}
      </button>
      <dialog ref={dialog} class={styles.dialog} aria-labelledby={heading}>
        <h2 id={heading}>{title}</h2>
        <div class={styles.text}>{children}</div>
        <div class={styles.buttons}>
          {/* First, so that it has the focus: Enter by mistake does nothing. */}
          <button type="button" onClick={close}>
            {t.cancel}
          </button>
          <button
            type="button"
            class={styles.deed}
            onClick={() => {
              close();
              onConfirm();
            }}
          >
            {label}
          </button>
        </div>
      </dialog>
    </>
  );
}
