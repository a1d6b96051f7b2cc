/**
 * Places of one or several runs as the rows of a table: branches that fold, and what is at their ends. Pure, and the
 * same for a run's config and for many runs side by side.
 */
import type { Entry } from "../data/leaves.ts";
import { leafText } from "../data/values.ts";

export interface Group {
  /** Stands for the group in the address; the first part of the ids of its rows. */
  readonly id: string;
  /** Empty for one whose rows stand by themselves. */
  readonly name: string;
  readonly entries: readonly Entry[];
  /** By name, or as they are given. */
  readonly sorted: boolean;
}

export interface Branch {
  readonly kind: "branch";
  readonly id: string;
  readonly name: string;
  readonly depth: number;
  readonly open: boolean;
  readonly leaves: number;
  readonly differing: number;
}

export interface End extends Entry {
  readonly kind: "end";
  readonly id: string;
  readonly name: string;
  readonly depth: number;
  readonly group: string;
}

export type Row = Branch | End;

export interface OutlineLook {
  readonly closed: ReadonlySet<string>;
  /** Only places at which the runs differ. */
  readonly only: boolean;
  /** Whether a place is looked for, by its dotted path and its values; null = all are. */
  readonly test: ((text: string) => boolean) | null;
}

interface Node {
  readonly name: string;
  readonly id: string;
  readonly branches: Map<string, Node>;
  readonly ends: Entry[];
}

const COLLATOR = new Intl.Collator(undefined, { numeric: true });

/** Dotted path of a place, as a filter names it. */
export function pathText(path: readonly string[]): string {
  return path.join(".");
}

function found({ path, values }: Entry, test: (text: string) => boolean): boolean {
  return test(pathText(path)) || values.some((value) => value !== undefined && test(leafText(value)));
}

export function outline(groups: readonly Group[], look: OutlineLook): Row[] {
  return groups.flatMap((group) => {
    const { test } = look;
    const entries = group.entries.filter(
      (entry) => (!look.only || entry.differs) && (test === null || found(entry, test)),
    );
    if (entries.length === 0) return [];
    const root = treeOf(group, entries);
    return group.name === "" ? rowsIn(root, group, -1, look) : rowsOf(root, group, 0, look);
  });
}

function treeOf(group: Group, entries: readonly Entry[]): Node {
  const made = (name: string, id: string): Node => ({ name, id, branches: new Map(), ends: [] });
  const root = made(group.name, group.id);
  for (const entry of entries) {
    let node = root;
    for (const part of entry.path.slice(0, -1)) {
      let next = node.branches.get(part);
      if (next === undefined) {
        next = made(part, `${node.id}.${part}`);
        node.branches.set(part, next);
      }
      node = next;
    }
    node.ends.push(entry);
  }
  return root;
}

function count(node: Node): { leaves: number; differing: number } {
  const sum = { leaves: node.ends.length, differing: node.ends.filter((end) => end.differs).length };
  for (const branch of node.branches.values()) {
    const { leaves, differing } = count(branch);
    sum.leaves += leaves;
    sum.differing += differing;
  }
  return sum;
}

function rowsOf(node: Node, group: Group, depth: number, look: OutlineLook): Row[] {
  // What is looked for is shown, whatever was folded before.
  const open = look.test !== null || !look.closed.has(node.id);
  const branch: Row = { kind: "branch", id: node.id, name: node.name, depth, open, ...count(node) };
  return open ? [branch, ...rowsIn(node, group, depth, look)] : [branch];
}

function rowsIn(node: Node, group: Group, depth: number, look: OutlineLook): Row[] {
  const ends = node.ends.map((entry): [string, () => Row[]] => {
    const name = entry.path.at(-1) ?? "";
    const end: Row = {
      kind: "end",
      id: `${node.id} ${name}`,
      name,
      depth: depth + 1,
      group: group.id,
      ...entry,
    };
    return [name, () => [end]];
  });
  const branches = [...node.branches.values()].map((branch): [string, () => Row[]] => [
    branch.name,
    () => rowsOf(branch, group, depth + 1, look),
  ]);
  const all = [...ends, ...branches];
  if (group.sorted) all.sort(([a], [b]) => COLLATOR.compare(a, b));
  return all.flatMap(([, rows]) => rows());
}
