/** Nested values of config and summary as a flat list of what is at the ends, and whether two of them are the same. */
import type { Json } from "./types.ts";
import { isTree } from "./values.ts";

export interface Leaf {
  readonly path: readonly string[];
  readonly value: Json;
}

/** Everything at the ends of a tree, in its order; an empty mapping is an end of its own. */
export function leavesOf(tree: { readonly [key: string]: Json }): Leaf[] {
  const found: Leaf[] = [];
  const walk = (value: Json, path: readonly string[]): void => {
    const children = isTree(value) ? Object.entries(value) : [];
    if (children.length === 0) found.push({ path, value });
    for (const [name, child] of children) walk(child, [...path, name]);
  };
  for (const [name, child] of Object.entries(tree)) walk(child, [name]);
  return found;
}

/** One place in several trees, with what each has there; undefined = nothing. */
export interface Entry {
  readonly path: readonly string[];
  readonly values: readonly (Json | undefined)[];
  readonly differs: boolean;
}

/**
 * The places of all trees together, in the order in which they are met. Null is a tree that nothing is known of: it has
 * nothing anywhere, and makes no difference.
 */
export function entriesOf(trees: readonly (readonly Leaf[] | null)[]): Entry[] {
  const places = new Map<string, { path: readonly string[]; values: (Json | undefined)[] }>();
  trees.forEach((leaves, tree) => {
    for (const { path, value } of leaves ?? []) {
      const id = JSON.stringify(path);
      let place = places.get(id);
      if (place === undefined) {
        place = { path, values: trees.map(() => undefined) };
        places.set(id, place);
      }
      place.values[tree] = value;
    }
  });
  const known = trees.flatMap((leaves, tree) => (leaves === null ? [] : [tree]));
  return [...places.values()].map(({ path, values }) => ({
    path,
    values,
    differs: known.some((tree) => !same(values[tree], values[known[0] ?? 0])),
  }));
}

/** Whether two values say the same, whatever the order of the names in a mapping. NaN is the same as NaN. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === 0 && b === 0;
  const [left, right] = [Object.entries(a), Object.entries(b)];
  if (Array.isArray(a) !== Array.isArray(b) || left.length !== right.length) return false;
  return left.every(
    ([name, value]) => Object.hasOwn(b, name) && same(value, (b as Readonly<Record<string, Json>>)[name]),
  );
}
