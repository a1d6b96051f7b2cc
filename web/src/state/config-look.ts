/** How a run's config is looked at: beside which run, what is looked for, what is folded. Part of the address. */
import { computed } from "@preact/signals";
import { entriesOf, leavesOf } from "../data/leaves.ts";
import type { Run } from "../data/types.ts";
import { outline, type Row } from "./outline.ts";
import { queryWord, setQuery } from "./router.ts";
import { matcher } from "./sections.ts";
import { joinList, splitList } from "./words.ts";

/** Stands for no baseline where the project has one. */
const NO_BASE = "-";

export const configSearch = computed(() => queryWord("config") ?? "");
export const onlyChanged = computed(() => queryWord("changed") === "1");
const closed = computed<ReadonlySet<string>>(() => new Set(splitList(queryWord("fold") ?? "")));

/** The run to compare with: the address's, else the one that the project's runs are compared with; never itself. */
export function baseOf(run: string, ofProject: string | null): string | null {
  const word = queryWord("base");
  const base = word === NO_BASE ? null : (word ?? ofProject);
  return base === run ? null : base;
}

export function setBase(run: string | null): void {
  setQuery({ base: run ?? NO_BASE, ...(run === null ? { changed: null } : {}) });
}

export function toggleBranch(id: string): void {
  const next = new Set(closed.peek());
  if (!next.delete(id)) next.add(id);
  setQuery({ fold: next.size === 0 ? null : joinList([...next]) }, true);
}

/** The rows of a config, beside those of the baseline if there is one. */
export function configRows(run: Run, base: Run | null): Row[] {
  const trees = base === null ? [run] : [run, base];
  const entries = entriesOf(trees.map(({ config }) => leavesOf(config)));
  const query = configSearch.value;
  return outline([{ id: "config", name: "", entries, sorted: true }], {
    closed: closed.value,
    only: base !== null && onlyChanged.value,
    test: query === "" ? null : matcher(query).test,
  });
}
