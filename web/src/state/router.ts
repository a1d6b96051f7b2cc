/**
 * The URL is the state: path = page, query = how it is looked at. Paths are below <base href>, so the same build
 * works under any prefix. Ordinary links are intercepted; everything a page shows can be bookmarked.
 */
import { computed, signal } from "@preact/signals";

export type Route =
  | { readonly page: "projects" }
  | { readonly page: "workspace"; readonly entity: string; readonly project: string }
  | { readonly page: "runs"; readonly entity: string; readonly project: string }
  | { readonly page: "compare"; readonly entity: string; readonly project: string }
  | { readonly page: "run"; readonly entity: string; readonly project: string; readonly run: string }
  | { readonly page: "nowhere" };

/** Reads the part of a path below the base, without its leading slash. */
export function parseRoute(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "");
  let names: string[];
  try {
    names = parts.map(decodeURIComponent);
  } catch {
    return { page: "nowhere" };
  }
  const [entity, project, word, run] = names;
  if (entity === undefined) return { page: "projects" };
  if (project === undefined) return { page: "nowhere" };
  if (names.length === 2) return { page: "workspace", entity, project };
  if (names.length === 3 && word === "runs") return { page: "runs", entity, project };
  if (names.length === 3 && word === "compare") return { page: "compare", entity, project };
  if (names.length === 4 && word === "runs" && run !== undefined)
    return { page: "run", entity, project, run };
  return { page: "nowhere" };
}

/** The link of a route, relative to the base. */
export function routeHref(route: Route): string {
  const e = encodeURIComponent;
  if (route.page === "workspace") return `${e(route.entity)}/${e(route.project)}`;
  if (route.page === "runs") return `${e(route.entity)}/${e(route.project)}/runs`;
  if (route.page === "compare") return `${e(route.entity)}/${e(route.project)}/compare`;
  if (route.page === "run") return `${e(route.entity)}/${e(route.project)}/runs/${e(route.run)}`;
  return "./";
}

/** The path below the base, or null when `url` is outside of it. */
export function belowBase(url: URL, base: URL): string | null {
  if (url.origin !== base.origin || !url.pathname.startsWith(base.pathname)) return null;
  return url.pathname.slice(base.pathname.length);
}

const base = (): URL => new URL(".", document.baseURI);
const here = signal(location.href);

export const route = computed<Route>(() => {
  const below = belowBase(new URL(here.value), base());
  return below === null ? { page: "nowhere" } : parseRoute(below);
});
const query = computed(() => new URL(here.value).searchParams);

/** One word of the query, null when it is not there. */
export function queryWord(name: string): string | null {
  return query.value.get(name);
}

/** All words of the query, in their order. */
export const queryWords = computed<readonly (readonly [string, string])[]>(() => [...query.value]);

/** Words as the text of a query, as short as an address allows: commas, slashes and colons stay readable. */
export function queryText(words: Iterable<readonly [string, string]>): string {
  const short = (text: string): string =>
    encodeURIComponent(text).replace(/%(2C|2F|3A|24|40|7C)/g, (code) => decodeURIComponent(code));
  return [...words].map(([name, value]) => `${short(name)}=${short(value)}`).join("&");
}

/** Puts another query into the address; `push` makes it a step of the back button. */
export function writeQuery(text: string, push: boolean): void {
  const url = new URL(here.peek());
  url.search = text;
  go(url.href, !push);
}

/** Sets or (with null) removes words of the query; `replace` keeps one history entry while somebody types. */
export function setQuery(words: Record<string, string | null>, replace = false): void {
  const url = new URL(here.peek());
  for (const [name, value] of Object.entries(words)) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  go(url.href, replace);
}

/** The link to this page with other words in its query: for tabs. */
export function withQuery(words: Record<string, string | null>): string {
  const url = new URL(here.value);
  for (const [name, value] of Object.entries(words)) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url.href;
}

function go(href: string, replace: boolean): void {
  if (href === here.peek()) return;
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  here.value = href;
}

/** True for a click that the browser itself should not handle: plain, on a link of ours. */
function isOurs(event: MouseEvent, link: HTMLAnchorElement): boolean {
  if (event.defaultPrevented || event.button !== 0) return false;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return false;
  if (link.target !== "" || link.hasAttribute("download") || link.hash !== "") return false;
  return belowBase(new URL(link.href), base()) !== null;
}

/** Goes to a link of ours (`routeHref`), as a click on it would. */
export function follow(href: string): void {
  go(new URL(href, base()).href, false);
  scrollTo(0, 0);
}

/** Starts to follow links and the back button. */
export function startRouter(): void {
  addEventListener("popstate", () => {
    here.value = location.href;
  });
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (link === null || !isOurs(event, link)) return;
    event.preventDefault();
    const samePage = new URL(link.href).pathname === location.pathname;
    go(link.href, false);
    if (!samePage) scrollTo(0, 0);
  });
}
