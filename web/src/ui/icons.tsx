/** Glyphs of buttons, drawn on 16 × 16; the words are on the button. */
import type { JSX } from "preact";

const PATHS = {
  eye: "M1 8c2-3.300 4.300-5 7-5s5 1.700 7 5c-2 3.300-4.300 5-7 5s-5-1.700-7-5Zm7-2a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z",
  closed:
    "M1.500 6.500C3.500 9.500 5.600 11 8 11s4.500-1.500 6.500-4.500M8 11v2.500M3.600 9.500 2 11.500M12.400 9.500l1.600 2",
  pin: "M5.500 1.500h5M6.500 1.500v5L4 9h8L9.500 6.500v-5M8 9v5.500",
  flag: "M4 14.500v-13M4 2.500h8.500l-2 3 2 3H4",
  full: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
  more: "M3 8h.01M8 8h.01M13 8h.01",
  up: "M8 13V3M4 7l4-4 4 4",
  down: "M8 3v10M4 9l4 4 4-4",
  undo: "M6 3 2.500 6.500 6 10M3 6.500h6.500a4 4 0 0 1 0 8H6",
  redo: "M10 3l3.500 3.500L10 10M13 6.500H6.500a4 4 0 0 0 0 8H10",
  list: "M2 3.500h12M2 8h12M2 12.500h12",
  close: "M3 3l10 10M13 3 3 13",
  edit: "M2.500 13.500l1-3.500 7.500-7.500 2.500 2.500-7.500 7.500zM9.500 4l2.500 2.500",
  copy: "M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3",
  settings: "M2 4.500h6M12 4.500h2M10 2.500v4M2 11.500h2M8 11.500h6M6 9.500v4",
  left: "M10 3 5 8l5 5",
  right: "M6 3l5 5-5 5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg
      viewBox="0 0 16 16"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      stroke-width={name === "more" ? 2 : 1.25}
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
