/** Nested values as a tree of native disclosures. */
import type { JSX } from "preact";
import type { Json } from "../data/types.ts";
import { isTree, show } from "../data/values.ts";
import styles from "./tree.module.css";

type Branch = { readonly [key: string]: Json };

/** Small trees are open; deep or wide ones start closed, so that the page stays readable. */
const OPEN_MAX = 24;

function Leaf({ name, value }: { name: string; value: Json }): JSX.Element {
  const shown = show(value);
  return (
    <li class={styles.leaf}>
      <span class={styles.key}>{name}</span>
      <span class={shown.numeric ? styles.number : styles.value}>{shown.text}</span>
    </li>
  );
}

function Node({ name, value }: { name: string; value: Branch }): JSX.Element {
  return (
    <li>
      <details open={Object.keys(value).length <= OPEN_MAX}>
        <summary class={styles.key}>{name}</summary>
        <Tree value={value} />
      </details>
    </li>
  );
}

export function Tree({ value }: { value: Branch }): JSX.Element {
  return (
    <ul class={styles.tree}>
      {Object.entries(value).map(([name, child]) =>
        isTree(child) ? (
          <Node key={name} name={name} value={child} />
        ) : (
          <Leaf key={name} name={name} value={child} />
        ),
      )}
    </ul>
  );
}
