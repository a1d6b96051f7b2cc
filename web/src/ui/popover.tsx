/** A button that opens a small form below it; Esc closes it and takes back, a click elsewhere leaves it as it is. */
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { IconName } from "./icons.tsx";
import styles from "./popover.module.css";
import { Tool } from "./tool.tsx";

interface PopoverProps {
  icon: IconName;
  label: string;
  open: boolean;
  onOpen: () => void;
  onClose: () => void;
  /** Esc: what has been changed since it was opened is not wanted. */
  onRevert: () => void;
  children: ComponentChildren;
}

export function Popover(props: PopoverProps): JSX.Element {
  const { open, onClose } = props;
  const host = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    if (!open) return;
    host.current?.querySelector<HTMLElement>("select, input")?.focus();
    const leave = (event: Event): void => {
      if (!(event.target instanceof Node) || !host.current?.contains(event.target)) onClose();
    };
    addEventListener("pointerdown", leave);
    addEventListener("focusin", leave);
    return () => {
      removeEventListener("pointerdown", leave);
      removeEventListener("focusin", leave);
    };
  }, [open]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Esc closes what the button inside has opened.
    <span
      ref={host}
      class={styles.host}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        event.stopPropagation();
        event.preventDefault();
        props.onRevert();
        host.current?.querySelector("button")?.focus();
      }}
    >
      <Tool
        icon={props.icon}
        label={props.label}
        pressed={open}
        onClick={() => (open ? onClose() : props.onOpen())}
      />
      {open && (
        <fieldset class={styles.form}>
          <legend class="vh">{props.label}</legend>
          {props.children}
        </fieldset>
      )}
    </span>
  );
}
