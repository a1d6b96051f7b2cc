/** What must hold of every page in both themes, wide and narrow: a picture, axe, no request to elsewhere, no error. */

import { mkdtempSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { expect } from "vitest";
import type { Server } from "./harness.ts";

/** A name that would run if it were taken for HTML; every page is checked for that. */
export const HOSTILE = `<img src=x onerror="window.__pwned=1"><script>window.__pwned=1</script>"'&`;
export const shots = process.env.BUOY_E2E_SHOTS ?? mkdtempSync(join(tmpdir(), "buoy-shots-"));
const axeSource = readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const LOOKS = (["light", "dark"] as const).flatMap((theme) =>
  [1440, 390].map((width) => ({ theme, width })),
);

/** Two of them that have all four words between them; `BUOY_E2E_LOOKS=all` makes it all of them. */
export const CORNERS =
  process.env.BUOY_E2E_LOOKS === "all"
    ? LOOKS
    : LOOKS.filter(({ theme, width }) => (theme === "dark") === width < 900);

interface Look {
  theme: "light" | "dark";
  width: number;
}

/** Opens a page, lets `act` do something, and checks what must hold of every page. */
export async function look(
  at: { server: Server; browser: Browser },
  name: string,
  path: string,
  ready: string,
  { theme, width }: Look,
  act?: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await at.browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: theme,
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const foreign: string[] = [];
  const errors: string[] = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(`${at.server.base}/`) && !request.url().startsWith("data:"))
      foreign.push(request.url());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    // A 404 or 412 of the API is part of the pages that say so.
    if (message.type() === "error" && !/status of (404|412)/.test(message.text()))
      errors.push(message.text());
  });
  await page.goto(at.server.link(path));
  await page.locator(ready).first().waitFor({ timeout: 60_000 });
  await act?.(page);
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: join(shots, `${name}-${theme}-${width}.png`) });
  expect(await violations(page), `axe on ${name}`).toEqual([]);
  expect(foreign, "requests to elsewhere").toEqual([]);
  expect(errors, "errors in the page").toEqual([]);
  expect(await page.evaluate(() => "__pwned" in window), "logged text ran").toBe(false);
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  expect(overflow, "the page does not scroll sideways").toBeLessThanOrEqual(0);
  await context.close();
}

async function violations(page: Page): Promise<string[]> {
  await page.evaluate(await axeSource);
  const result = (await page.evaluate(() =>
    (window as unknown as { axe: typeof axe }).axe.run(document),
  )) as axe.AxeResults;
  return result.violations.flatMap((v) =>
    v.nodes.map((node) => `${v.id}: ${node.html} ${node.failureSummary ?? ""}`),
  );
}

/** The arguments of a function without the first. */
export type Tail<T extends unknown[]> = T extends [unknown, ...infer Rest] ? Rest : never;
