/** Links to the page that shows runs side by side; apart from it, so that a link does not fetch the page. */
import { queryText, routeHref } from "./router.ts";
import { joinList } from "./words.ts";

/** The address of a comparison. */
export function compareHref(
  { entity, project }: { entity: string; project: string },
  runs: readonly string[],
  base: string | null = null,
): string {
  const words: [string, string][] = [["runs", joinList(runs)]];
  if (base !== null && runs.includes(base)) words.push(["base", base]);
  return `${routeHref({ page: "compare", entity, project })}?${queryText(words)}`;
}
