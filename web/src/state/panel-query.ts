/** What is asked of the server for a panel: pure. */
import { keyOfX, type PanelQuery } from "../data/types.ts";
import { TOGETHER } from "./held.ts";
import type { Panel, PanelsOptions } from "./panels.ts";

/** Columns of a bucket that a line chart draws or tells. */
const COLUMNS = ["n", "min", "max", "last", "mean"];

/** Beyond `series` series a panel is a density with `top` lines. */
export interface Budget {
  readonly series: number;
  readonly top: number;
}

/** A question and what it is about: these parts of the panel. */
export interface Asked {
  readonly panel: Panel;
  readonly names: readonly string[];
  readonly query: PanelQuery;
}

/** The question for parts of a panel: single runs, or all `runs` as one. */
export function queryOf(
  panel: Panel,
  names: readonly string[],
  runs: readonly string[],
  top: readonly string[],
  options: PanelsOptions,
): PanelQuery {
  const { look } = panel;
  const together = names[0] === TOGETHER;
  const ids = together ? runs : names;
  const have = ids.flatMap((run): [string, number][] => {
    const rev = panel.held.get(together ? TOGETHER : run)?.have(together ? runs : []) ?? null;
    return rev === null ? [] : [[run, rev]];
  });
  const group = look.group ?? [];
  // Groups are not smoothed: the server refuses it, and the panel says so.
  const smooth = group.length > 0 ? null : (look.smooth ?? null);
  const key = keyOfX(look.x);
  const given = options.reduction?.(panel.key) ?? null;
  // Bands have neither smoothing nor another key as x; then ranks are one by their mean.
  const bandless = smooth !== null || key !== null || look.x === "proc" || together;
  const reduction = given === "band" && bandless ? (group.length > 0 ? null : "mean") : given;
  return {
    id: panel.id,
    keys: [panel.key],
    runs: { ids: [...ids] },
    x: key === null ? look.x : { key },
    exp: null,
    px: panel.px,
    range: look.range,
    cols: COLUMNS,
    have: Object.fromEntries(have),
    system: options.system,
    attempts: look.superseded && !options.system && smooth === null && key === null ? "all" : "latest",
    ...(reduction === null ? {} : { ranks: reduction }),
    ...(smooth === null ? {} : { smooth }),
    ...(group.length > 0 ? { group: { by: group } } : {}),
    ...(together && group.length === 0 ? { mode: "auto", top } : {}),
  };
}
