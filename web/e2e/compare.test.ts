/** Runs side by side: what differs, by how much, and that nothing is blank; with few runs and with many. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, Server } from "./harness.ts";
import { HOSTILE, LOOKS, look } from "./look.ts";

let server: Server;
let browser: Browser;

/** Four runs that differ in places, one of them with NaN and markup; and twenty with 10,000 keys each. */
const RUNS = `
import json, math, os, httpx
from tests.server.streams import Stream

HOSTILE = ${JSON.stringify(HOSTILE)}
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False, timeout=60) as client:
    def send(stream):
        client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()

    args = ["--lr", "0.1", "--warmup", "2000", "--data", "/mnt/datasets/pile/v12"]
    for number, name in enumerate(["base-7b", "quick", HOSTILE, "broken"]):
        stream = Stream(f"r{number}", project="cmp", name=name)
        args[1] = str(0.1 * (number + 1))
        metadata = {"program": "train.py", "args": args, "python": "3.11.7", "os": "Linux"}
        writer = stream.writer(metadata=metadata)
        config = {"optim": {"lr": 6e-4 / (number + 1), "name": "adamw"}, "seed": 3}
        if number == 2:
            config |= {HOSTILE: HOSTILE, "empty": "", "nothing": None}
        writer.config(config)
        values = {"train/loss": 1.9 - 0.1 * number, "val/acc": 0.5 - 0.1 * number, "same": 1.0, "val/loss": 2.0}
        if number == 3:
            del values["val/loss"]
            values["train/loss"] = math.nan
        writer.log([(step, {k: v + 1 / (step + 1) if k != "same" else v for k, v in values.items()}) for step in range(200)])
        writer.end()
        send(stream)
    for number in range(20):
        stream = Stream(f"w{number}", project="wide", name=f"wide-{number}")
        writer = stream.writer()
        writer.config({f"part{i // 100}": {f"key{i}-{j}": i * j for j in range(100)} for i in range(0, 10_000, 100)} | {"mine": number})
        writer.log([(0, {"loss": 1.0 + number})])
        writer.end()
        send(stream)
`;

beforeAll(async () => {
  server = await Server.start();
  browser = await launch();
  await server.python(RUNS);
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

const FOUR = "local/cmp/compare?runs=r0,r1,r2,r3";
/** Each theme and each width once, where the page differs little from one that is looked at in all. */
const TWO = LOOKS.filter(({ theme, width }) => (theme === "light") === (width === 390));
/** For conditions that come after an answer, on a machine that does much else. */
const SOON = { timeout: 30_000 };
const TABLE = "section[aria-label='Runs side by side']";

/** The cells of the row that this name heads. */
async function cells(page: Page, name: string): Promise<string[]> {
  const row = page.locator(`${TABLE} tbody tr`, { has: page.getByRole("rowheader", { name, exact: true }) });
  await row.first().waitFor();
  return (await row.first().locator("td").allTextContents()).map((text) => text.trim());
}

async function open(path: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(server.link(path));
  return page;
}

const query = (page: Page, name: string): string | null => new URL(page.url()).searchParams.get(name);

describe("looks", () => {
  it.each(TWO.slice(0, 1))("without runs, $theme, $width px", async (at) => {
    await look({ server, browser }, "compare-none", "local/cmp/compare", "text=No run is chosen", at);
  });
  it.each(TWO)("with four, $theme, $width px", async (at) => {
    await look({ server, browser }, "compare", FOUR, `${TABLE} td`, at, async (page) => {
      await page.getByRole("columnheader", { name: "base-7b" }).waitFor();
      await page.getByRole("rowheader", { name: "Command" }).waitFor();
      expect(await page.locator(`${TABLE} td:not([colspan])`, { hasText: /^\s*$/ }).count()).toBe(0);
    });
  });
  it.each(TWO)("curves below it, $theme, $width px", async (at) => {
    await look(
      { server, browser },
      "compare-curves",
      `${FOUR}&fold=facts,config`,
      `${TABLE} td`,
      at,
      async (page) => {
        const curves = page.locator("section[aria-label=Curves]");
        await curves.locator("canvas").first().scrollIntoViewIfNeeded();
        await curves.locator("figcaption", { hasText: "base-7b" }).first().waitFor({ state: "attached" });
      },
    );
  });
  it.each(TWO)("the difference of two texts, $theme, $width px", async (at) => {
    await look({ server, browser }, "compare-diff", FOUR, `${TABLE} td`, at, async (page) => {
      await page.getByRole("button", { name: "diff of Command of quick" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.locator("pre ins").first().waitFor();
      expect(await dialog.locator("pre del").allTextContents()).toEqual(["0.1"]);
      expect(await dialog.locator("pre ins").allTextContents()).toEqual(["0.2"]);
    });
  });
});

describe("four runs", () => {
  it("are told apart: deltas to the baseline, missing values and NaN in words", async () => {
    const page = await open(FOUR);
    expect((await cells(page, "lr"))[1]).toContain("×0.5");
    expect(await cells(page, "seed")).toEqual(["3", "3", "3", "3"]);
    const acc = await cells(page, "val/acc higher is better");
    expect(acc[1]).toMatch(/▼.*worse/);
    const loss = await cells(page, "train/loss lower is better");
    expect(loss[1]).toMatch(/▼.*better/);
    expect(loss[3]).toBe("NaN ◆");
    expect((await cells(page, "val/loss lower is better"))[3]).toBe("missing");
    expect(await cells(page, "empty")).toEqual(["missing", "missing", '""', "missing"]);
    expect((await cells(page, "nothing"))[2]).toBe("null");
    expect((await cells(page, HOSTILE))[2]).toBe(HOSTILE);
    await page.close();
  });

  it("keep in the address what is shown of them", async () => {
    const page = await open(FOUR);
    await cells(page, "seed");
    await page.getByLabel("Only differences").check();
    await page.getByRole("rowheader", { name: "seed", exact: true }).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "optim" }).click();
    await page.getByRole("rowheader", { name: "lr", exact: true }).waitFor({ state: "detached" });
    await page.getByLabel("Baseline").selectOption({ label: "quick" });
    await page.getByText("×2").first().waitFor({ state: "detached" });
    expect(query(page, "diff")).toBe("1");
    expect(query(page, "fold")).toBe("config.optim");
    expect(query(page, "base")).toBe("r1");
    await page.reload();
    await cells(page, "empty");
    expect(await page.getByRole("rowheader", { name: "lr", exact: true }).count()).toBe(0);
    expect(await page.getByLabel("Baseline").inputValue()).toBe("r1");
    await page.getByLabel("Filter keys and values").fill("optim");
    expect((await cells(page, "lr"))[0]).toContain("×2");
    await page.getByRole("button", { name: "Compare with quick" }).click();
    await expect.poll(() => query(page, "base"), SOON).toBe("-");
    expect((await cells(page, "lr"))[0]).toBe("0.0006");
    await page.close();
  });

  it("come and go; one that is not there is said", async () => {
    const page = await open("local/cmp/compare?runs=r0,nobody");
    await page.getByText("Not shown: The project local:cmp has no run nobody.").waitFor();
    expect(await cells(page, "seed")).toEqual(["3", "unknown"]);
    await page.getByRole("button", { name: "Take nobody out" }).click();
    await page.getByText("With another run beside it").waitFor();
    await page.getByRole("button", { name: "Add run" }).click();
    await page.getByRole("combobox", { name: "Add a run to the comparison" }).fill("name:quick");
    await expect
      .poll(() => page.getByRole("listbox").getByRole("option").allTextContents(), SOON)
      .toEqual([expect.stringContaining("quick")]);
    await page.keyboard.press("Enter");
    await expect.poll(() => cells(page, "seed"), SOON).toEqual(["3", "3"]);
    expect(query(page, "runs")).toBe("r0,r1");
    await page.goBack();
    await page.getByText("With another run beside it").waitFor();
    await page.close();
  });

  it("have their curves together, with a line each", async () => {
    const page = await open(`${FOUR}&q=train/loss`);
    const caption = page.locator("section[aria-label=Curves] figcaption");
    await caption.filter({ hasText: "base-7b" }).waitFor({ state: "attached" });
    const text = (await caption.textContent()) ?? "";
    for (const name of ["base-7b", "quick", HOSTILE]) expect(text).toContain(name);
    await page.getByText("200 NaN or ±Inf").waitFor();
    await page.close();
  });
});

describe("twenty runs with 10,000 keys", () => {
  const path = `local/wide/compare?runs=${Array.from({ length: 20 }, (_, i) => `w${i}`).join(",")}`;

  it("draw only the rows in sight, and the names stay when it is scrolled", async () => {
    const page = await open(path);
    await cells(page, "mine");
    const table = page.locator(TABLE);
    const rows = await table.locator("tbody tr").count();
    expect(rows).toBeLessThan(60);
    expect(Number(await table.locator("table").getAttribute("aria-rowcount"))).toBeGreaterThan(10_000);
    await table.evaluate((element) => element.scrollTo(element.scrollWidth, element.scrollHeight));
    await page.getByRole("rowheader", { name: "loss lower is better" }).waitFor();
    const left = await table.evaluate((element) => {
      const head = element.querySelector("tbody th");
      return (head?.getBoundingClientRect().left ?? 0) - element.getBoundingClientRect().left;
    });
    expect(Math.abs(left)).toBeLessThan(2);
    expect((await cells(page, "loss lower is better"))[19]).toContain("20");
    await page.getByLabel("Only differences").check();
    expect((await cells(page, "mine"))[3]).toContain("3");
    expect(await table.locator("tbody tr").count()).toBeLessThan(12);
    await page.close();
  });

  it("are in sight where rows are higher, because fingers point at them", async () => {
    const context = await browser.newContext({
      hasTouch: true,
      isMobile: true,
      viewport: { width: 800, height: 900 },
    });
    const page = await context.newPage();
    await page.goto(server.link(path));
    await cells(page, "mine");
    const table = page.locator(TABLE);
    expect(await page.evaluate(() => matchMedia("(pointer: coarse)").matches)).toBe(true);
    await table.evaluate((element) => element.scrollTo(0, element.scrollHeight / 2));
    const seen = (): Promise<string | undefined> =>
      table.evaluate((element) => {
        const box = element.getBoundingClientRect();
        const there = document.elementFromPoint(box.left + 20, box.top + 300);
        return there?.closest("tr")?.querySelector("th")?.textContent ?? undefined;
      });
    await expect.poll(seen, SOON).toMatch(/^key|^part/);
    await context.close();
  });
});
