/** A button that opens a short list of deeds below it. */
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import styles from "./menu.module.css";
import { Tool } from "./tool.tsx";

export interface Deed {
  readonly label: string;
  readonly act: () => void;
}

interface MenuProps {
  label: string;
  deeds: readonly Deed[];
}

export function Menu({ label, deeds }: MenuProps): JSX.Element {
  const host = useRef<HTMLSpanElement>(null);
  const [open, setOpen] = useState(false);
  useLayoutEffect(() => {
    if (!open) return;
    host.current?.querySelector<HTMLElement>("[data-deed]")?.focus();
    const leave = (event: Event): void => {
      if (!(event.target instanceof Node) || !host.current?.contains(event.target)) setOpen(false);
    };
    addEventListener("pointerdown", leave);
    addEventListener("focusin", leave);
    return () => {
      removeEventListener("pointerdown", leave);
      removeEventListener("focusin", leave);
    };
  }, [open]);
  const close = (): void => {
    setOpen(false);
    host.current?.querySelector("button")?.focus();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Esc closes what the buttons inside have opened.
    <span
      ref={host}
      class={styles.menu}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        event.stopPropagation();
        close();
      }}
    >
      <Tool icon="more" label={label} pressed={open} onClick={() => setOpen(!open)} />
      {open && (
        <span class={styles.list}>
          {deeds.map((deed) => (
            <button
              key={deed.label}
              type="button"
              data-deed
              class={styles.deed}
              onClick={() => {
                close();
                deed.act();
              }}
            >
              {deed.label}
            </button>
          ))}
        </span>
      )}
    </span>
  );
}
