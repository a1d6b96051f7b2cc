/** A short list of deeds that hangs from a part of the page, over everything: Esc and a click elsewhere close it. */
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import styles from "./drop.module.css";
import type { Deed } from "./menu.tsx";

interface DropProps {
  label: string;
  /** Where it hangs from. */
  anchor: { readonly left: number; readonly bottom: number };
  deeds: readonly Deed[];
  onClose: () => void;
}

const MARGIN = 8;

export function Drop({ label, anchor, deeds, onClose }: DropProps): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = host.current;
    if (element === null) return;
    const before = document.activeElement;
    element.showPopover();
    const { width, height } = element.getBoundingClientRect();
    element.style.left = `${Math.max(MARGIN, Math.min(anchor.left, innerWidth - width - MARGIN))}px`;
    element.style.top = `${Math.max(MARGIN, Math.min(anchor.bottom, innerHeight - height - MARGIN))}px`;
    element.querySelector<HTMLElement>("button")?.focus();
    return () => {
      // Who had the focus gets it back, unless it has gone elsewhere by itself.
      const lost = document.activeElement === document.body || element.contains(document.activeElement);
      if (lost && before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  const onKey = (event: KeyboardEvent): void => {
    const buttons = [...(host.current?.querySelectorAll<HTMLElement>("button") ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLElement);
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (by !== 0) buttons[(at + by + buttons.length) % buttons.length]?.focus();
    else if (event.key === "Home") buttons[0]?.focus();
    else if (event.key === "End") buttons.at(-1)?.focus();
    else if (event.key === "Escape" || event.key === "Tab") onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      ref={host}
      popover="auto"
      class={styles.drop}
      role="menu"
      aria-label={label}
      tabIndex={-1}
      onKeyDown={onKey}
      onToggle={(event) => {
        if (event.newState === "closed") onClose();
      }}
    >
      {deeds.map((deed) => (
        <button
          key={deed.label}
          type="button"
          role="menuitem"
          class={styles.deed}
          tabIndex={-1}
          onClick={() => {
            onClose();
            deed.act();
          }}
        >
          {deed.label}
        </button>
      ))}
    </div>
  );
}
