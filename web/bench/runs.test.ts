/** A hundred thousand runs in the list beside the charts: filter, order, and scrolling (B13). */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, it } from "vitest";
import { launch, type Server } from "../e2e/harness.ts";
import { datasets } from "./data.ts";
import { median, report } from "./report.ts";
import { frames, traced } from "./trace.ts";
import { Visit } from "./visit.ts";

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await datasets();
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** Milliseconds from the last event that `act` causes to other rows in the list. */
async function untilRows(visit: Visit, event: string, act: () => Promise<void>): Promise<number> {
  await visit.page.evaluate((type) => {
    const kept = window as unknown as { __rows: Promise<number> };
    const list = document.querySelector("main ul, aside ul, ul[aria-label]");
    const text = (): string => [...(list?.children ?? [])].map((row) => row.textContent).join("\n");
    const before = text();
    let last = Number.NaN;
    addEventListener(
      type,
      (happened) => {
        last = happened.timeStamp;
      },
      true,
    );
    kept.__rows = new Promise((done) => {
      const look = (): void => {
        if (text() !== before && !Number.isNaN(last)) done(performance.now() - last);
        else requestAnimationFrame(look);
      };
      look();
    });
  }, event);
  await act();
  return visit.page.evaluate(() => (window as unknown as { __rows: Promise<number> }).__rows);
}

it("B13 filter, order and scrolling of W4", async () => {
  const visit = await Visit.begin(browser, server);
  await visit.go("local/w4");
  const { page } = visit;
  await page.getByRole("listitem").nth(5).waitFor();
  const filter = page.locator("input[role=combobox]").first();
  const [filtered, sorted]: [number[], number[]] = [[], []];
  for (const text of ["lr<1e-3", "opt.name:adam lr<0.02", "tag:paper", "state:failed", "seed<5000"]) {
    filtered.push(await untilRows(visit, "input", () => filter.fill(text)));
    await untilRows(visit, "input", () => filter.fill(""));
  }
  const order = page.locator("select").first();
  const values = await order
    .locator("option")
    .evaluateAll((all) => all.map((one) => (one as HTMLOptionElement).value));
  for (const value of [...values.slice(1), values[0] ?? ""])
    sorted.push(await untilRows(visit, "change", async () => void (await order.selectOption(value))));
  const list = await page.getByRole("listitem").nth(5).boundingBox();
  if (list === null) throw new Error("no list");
  await page.mouse.move(list.x + 40, list.y + 5);
  let blank = 0;
  const spans = await traced(page, async () => {
    await page.evaluate(() => {
      const kept = window as unknown as { __blank: number; __stop: boolean };
      [kept.__blank, kept.__stop] = [0, false];
      let run = 0;
      const look = (): void => {
        const rows = document.elementFromPoint(60, 600)?.closest("li") ?? null;
        run = rows === null ? run + 1 : 0;
        kept.__blank = Math.max(kept.__blank, run);
        if (!kept.__stop) requestAnimationFrame(look);
      };
      look();
    });
    for (let i = 0; i < 60; i++) await page.mouse.wheel(0, 400);
    await page.waitForTimeout(500);
    blank = await page.evaluate(() => {
      const kept = window as unknown as { __blank: number; __stop: boolean };
      kept.__stop = true;
      return kept.__blank;
    });
  });
  await visit.end();
  const gate = { budget: "B13", kind: "gate" } as const;
  report({
    ...gate,
    what: "from the last letter of a filter to new rows",
    figure: median(filtered),
    target: 200,
    unit: "ms",
    note: `worst ${Math.max(...filtered).toFixed(0)}, the first one reads the column`,
  });
  report({
    ...gate,
    what: "from another order to new rows",
    figure: median(sorted),
    target: 200,
    unit: "ms",
    note: `worst ${Math.max(...sorted).toFixed(0)}`,
  });
  report({
    ...gate,
    what: "frames without rows while scrolling, in a row",
    figure: blank,
    target: 1,
    unit: "",
    note: `longest frame ${Math.max(...frames(spans)).toFixed(0)} ms`,
  });
});
