/** From the list of projects to a comparison without a pointer: filter, pin, compare, and back. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launch, Server } from "./harness.ts";

let server: Server;
let browser: Browser;
/** Other work may share the machine. */
const SLOWLY = { timeout: 60_000 };

const RUNS = `
import os, httpx
from tests.server.streams import Stream

headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False, timeout=60) as client:
    for i in range(8):
        stream = Stream(f"swell{i}", project="swell", name=f"swell-{i}", start_us=1_760_000_000_000_000 + i * 60_000_000)
        writer = stream.writer()
        writer.config({"lr": 10.0**-i, "batch": 64})
        writer.log([(step, {"loss": (i + 1) / (step + 1)}) for step in range(50)])
        writer.end()
        client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
`;

beforeAll(async () => {
  server = await Server.start();
  browser = await launch();
  await server.python(RUNS);
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** Goes on with Tab until something has the focus; says so when it cannot be reached. */
async function tabTo(page: Page, selector: string, key = "Tab"): Promise<void> {
  for (let i = 0; i < 80; i++) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector)) {
      expect(await focusIsSeen(page), `the focus is seen on ${selector}`).toBe(true);
      return;
    }
    await page.keyboard.press(key);
  }
  throw new Error(`${selector} cannot be reached with ${key}`);
}

/** Whether what has the focus has an outline, or a part of it, and is in the window. */
function focusIsSeen(page: Page): Promise<boolean> {
  return page.evaluate(() => {
    const element = document.activeElement as HTMLElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    return inside && outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2;
  });
}

const word = (page: Page, name: string): string | null => new URL(page.url()).searchParams.get(name);

it("filters, pins and compares with keys alone", async () => {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
  page.setDefaultTimeout(60_000);
  await page.goto(server.link(""));
  await page.getByRole("link", { name: "swell" }).waitFor();
  await tabTo(page, 'a[href$="local/swell"]');
  await page.keyboard.press("Enter");
  await page.locator("figure canvas").first().waitFor();

  await page.keyboard.press("f");
  await page.keyboard.type('name~"swell-[2-5]"');
  await page.getByText("4 of 4 runs shown").waitFor();
  await page.keyboard.press("Enter");
  await page.locator('a[data-run="swell5"]:focus').waitFor();
  expect(await focusIsSeen(page)).toBe(true);
  await page.keyboard.press("p");
  await expect.poll(() => word(page, "pin"), SLOWLY).toBe("swell5");
  // A pinned run goes to the top, and the focus with it.
  await page.locator('a[data-run="swell5"]:focus').waitFor();
  await page.keyboard.press("j");
  await page.locator('a[data-run="swell4"]:focus').waitFor();
  await page.keyboard.press("p");
  await expect.poll(() => word(page, "pin")?.split(",").sort(), SLOWLY).toEqual(["swell4", "swell5"]);
  await page.keyboard.press("b");
  await expect.poll(() => word(page, "base"), SLOWLY).toBe("swell4");

  await page.keyboard.press("c");
  await page.getByRole("heading", { name: "Compare" }).waitFor();
  const columns = page.getByRole("columnheader");
  await columns.filter({ hasText: "swell-5" }).waitFor();
  await columns.filter({ hasText: "swell-4" }).waitFor();
  expect(await columns.filter({ hasText: "swell-3" }).count()).toBe(0);
  await page.getByRole("rowheader", { name: "batch" }).waitFor();
  await tabTo(page, "input[type=checkbox]");
  await page.keyboard.press("Space");
  await expect.poll(() => word(page, "diff"), SLOWLY).toBe("1");
  await page.getByRole("rowheader", { name: "batch" }).waitFor({ state: "detached" });
  await page.getByRole("rowheader", { name: "lr" }).waitFor();

  await tabTo(page, 'a[href$="local/swell"]', "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.locator("figure canvas").first().waitFor();
  await expect
    .poll(() => [new URL(page.url()).pathname, word(page, "base")], SLOWLY)
    .toEqual(["/local/swell", "swell4"]);
  await page.close();
});
