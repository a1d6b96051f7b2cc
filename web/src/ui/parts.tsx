/** A summary value: one number or text, or the aggregates of define_metric side by side (min 0.1, max 3). */
import type { JSX } from "preact";
import type { Json } from "../data/types.ts";
import { isTree, show } from "../data/values.ts";
import styles from "./parts.module.css";

/** The aggregates of a value by name; a plain value is one part without a name. */
export function partsOf(value: Json): [string, Json][] {
  return isTree(value) ? Object.entries(value) : [["", value]];
}

/** Five digits of each part, and everything in the title. */
export function Parts({ value }: { value: Json }): JSX.Element {
  return (
    <>
      {partsOf(value).map(([name, part]) => (
        <span key={name} class={styles.part} title={show(part).text}>
          {name !== "" && <span class="quiet">{name} </span>}
          {show(part, true).text}
        </span>
      ))}
    </>
  );
}
