/** A button that is a glyph; its name is its title, for those who point and for those who listen. */
import type { JSX } from "preact";
import { Icon, type IconName } from "./icons.tsx";
import styles from "./tool.module.css";

interface ToolProps {
  /** For shortcuts that mean this button. */
  id?: string;
  icon: IconName;
  label: string;
  onClick: (event: MouseEvent) => void;
  pressed?: boolean;
  disabled?: boolean;
  class?: string | undefined;
}

export function Tool(props: ToolProps): JSX.Element {
  return (
    <button
      id={props.id}
      type="button"
      class={`${styles.tool} ${props.class ?? ""}`}
      title={props.label}
      aria-label={props.label}
      aria-pressed={props.pressed}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}
