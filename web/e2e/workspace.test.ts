/** The workspace of a project with many runs, as people use it: by pointer, by keyboard, and by links. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, Server } from "./harness.ts";
import { CORNERS, HOSTILE, look, type Tail } from "./look.ts";

let server: Server;
let browser: Browser;

/** Twelve runs of ten keys, two of them live and one with a hostile name; 310 short ones in another project. */
const RUNS = `
import math, os, httpx
from buoy_proto import v1
from tests.server.streams import Stream

KEYS = ["lr", "train/loss", "train/acc", "train/spiky", "val/loss", "val/acc", "layers/0/grad", "layers/1/grad"]
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}

def log(client, project, i, steps, keys):
    name = os.environ["HOSTILE"] if i == 4 else f"tide-{i:03d}"
    stream = Stream(f"{project}{i:03d}", project=project, name=name, start_us=1_760_000_000_000_000 + i * 60_000_000)
    writer = stream.writer()
    rows = []
    for step in range(steps):
        row = {key: 2 * math.exp(-step * (i + 3) / steps / 4) + 0.1 * k + i / 100 for k, key in enumerate(keys)}
        if "train/spiky" in row and step == steps // 2:
            row["train/spiky"] = 40.0
        rows.append((step * 10, row))
    writer.log(rows)
    if i > 1:
        stream.add([v1.Record(writer_end=v1.WriterEnd(writer_id=writer.id, state=2 + i % 3, exit_code=0))], writer.id)
    client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()

with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False, timeout=60) as client:
    for i in range(12):
        log(client, "tides", i, 200, KEYS)
    for i in range(310):
        log(client, "fleet", i, 3, KEYS[1:2])
`;

beforeAll(async () => {
  server = await Server.start();
  browser = await launch();
  await server.python(RUNS.replace('os.environ["HOSTILE"]', JSON.stringify(HOSTILE)));
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

function check(...args: Tail<Parameters<typeof look>>): Promise<void> {
  return look({ server, browser }, ...args);
}

/** Other work may share the machine. */
const SLOWLY = { timeout: 60_000 };

/** Where a page differs most: states and dialogs are looked at in these two, pages in all. */

/** Panels in view that have drawn something: their name says how many runs there are. */
const drawn = (page: Page, runs: number) => page.locator(`figure [role=img][aria-label*=": ${runs} run"]`);

async function open(query = ""): Promise<{ page: Page; asked: () => number; close: () => Promise<void> }> {
  // A context of its own: drafts of one test are nothing to another.
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  let asked = 0;
  page.on("request", (request) => {
    if (request.url().endsWith("/series:query")) asked += 1;
  });
  await page.goto(server.link(`local/tides${query}`));
  return { page, asked: () => asked, close: () => context.close() };
}

const word = (page: Page, name: string): string | null => new URL(page.url()).searchParams.get(name);

/** Waits for the address: it follows the view a moment later. */
async function address(page: Page, name: string, value: string | null): Promise<void> {
  await expect.poll(() => word(page, name), SLOWLY).toBe(value);
}

/** The page hears of what changes. */
const listening = (page: Page) => page.locator("[data-feed=open]").waitFor({ state: "attached" });

const row = (page: Page, name: string) => page.getByRole("listitem").filter({ hasText: name });

async function pointAt(page: Page, figure: number, share: number): Promise<void> {
  const box = await page.locator("figure .u-over").nth(figure).boundingBox();
  if (box === null) throw new Error("no chart");
  await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
}

describe("a workspace", () => {
  it.each(CORNERS)("with runs, $theme, $width px", async (at) => {
    await check("workspace", "local/tides?base=tides003&pin=tides007", "figure canvas", at, async (page) => {
      await drawn(page, 12).first().waitFor();
      await pointAt(page, 0, 0.4);
    });
  });

  it.each(CORNERS)("with everything hidden, and with no match, $theme, $width px", async (at) => {
    await check("hidden-keys", "local/tides?hide=.", "text=Show hidden keys", at);
    await check("no-panel", "local/tides?q=zzz", "text=Clear search", at);
  });

  it.each(CORNERS)(
    "as a sheet, in full screen, with palette and shortcuts, $theme, $width px",
    async (at) => {
      await check("full", "local/tides?panel=train/loss&logy=1", "dialog canvas", at, async (page) => {
        await page.locator('dialog [aria-label*=": 12 run"]').waitFor();
      });
      await check("palette", "local/tides", "figure canvas", at, async (page) => {
        await page.keyboard.press("Control+k");
        await page.keyboard.type("loss");
        await page.locator("dialog [role=option]").first().waitFor();
      });
      await check("shortcuts", "local/tides", "figure canvas", at, async (page) => {
        await page.keyboard.press("?");
        await page.getByText("Single-key shortcuts").waitFor();
      });
      if (at.width > 900) return;
      await check("sheet", "local/tides", "figure canvas", at, async (page) => {
        await page.getByRole("button", { name: "Show the runs list" }).click();
        await row(page, "tide-003").waitFor();
      });
    },
  );

  it("closes an eye without asking the server, keeps the colours, and undoes it", async () => {
    const { page, asked, close } = await open();
    await drawn(page, 12).first().waitFor();
    await listening(page);
    const before = asked();
    const colour = (): Promise<string | null> =>
      row(page, "tide-007").locator("path[stroke]").first().getAttribute("stroke");
    const blue = await colour();
    await row(page, "tide-003").getByRole("button", { name: "Show tide-003" }).click();
    await drawn(page, 11).first().waitFor();
    await address(page, "off", "tides003");
    expect([asked(), await colour()]).toEqual([before, blue]);
    await row(page, "tide-005")
      .getByRole("button", { name: "Show tide-005" })
      .click({ modifiers: ["Alt"] });
    await drawn(page, 1).first().waitFor();
    await address(page, "on", "tides005");
    await page.keyboard.press("Control+z");
    await page.keyboard.press("Control+z");
    await drawn(page, 12).first().waitFor();
    await page.keyboard.press("Control+Shift+z");
    await drawn(page, 11).first().waitFor();
    expect(asked()).toBe(before);
    await close();
  });

  it("shows the values under the crosshair in the list, against a baseline", async () => {
    const { page, close } = await open("?q=^train/loss$&base=tides002");
    await drawn(page, 12).waitFor();
    const value = (name: string): Promise<string> => row(page, name).locator("a + div").innerText();
    // The newest value of every run, before anybody points at anything.
    await expect.poll(() => value("tide-011"), SLOWLY).toMatch(/^0\.\d+\s*[▲▼]/);
    const newest = await value("tide-011");
    await pointAt(page, 0, 0.1);
    await expect.poll(() => value("tide-011"), SLOWLY).not.toBe(newest);
    expect(await value("tide-002")).not.toMatch(/[▲▼]/);
    expect(await page.locator("figure").innerText()).toContain("tide-011");
    await close();
  });

  it("zooms all charts of an axis, keeps the zoom in the address and for the next visit", async () => {
    const { page, close } = await open();
    await drawn(page, 12).first().waitFor();
    const box = await page.locator("figure .u-over").first().boundingBox();
    if (box === null) throw new Error("no chart");
    await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 42, { steps: 4 });
    await page.mouse.up();
    await page.getByRole("button", { name: "Reset zoom" }).waitFor();
    await expect
      .poll(() => word(page, "zoom") ?? "", SLOWLY)
      .toMatch(/^step:[45]\d\d[\d.]*\.\.(9\d\d|10\d\d)[\d.]*$/);
    const zoom = word(page, "zoom");
    await page.getByRole("link", { name: "tide-003" }).click();
    await page.getByRole("link", { name: "Overview" }).waitFor();
    await page.getByRole("link", { name: "tides" }).click();
    await page.getByRole("button", { name: "Reset zoom" }).waitFor();
    await address(page, "zoom", zoom);
    await page.getByLabel("x axis").selectOption("rel");
    await page.getByRole("button", { name: "Reset zoom" }).waitFor({ state: "detached" });
    await close();
  });

  it("opens a panel in full screen, goes to its neighbours, and back", async () => {
    const { page, close } = await open("?q=loss");
    await drawn(page, 12).first().waitFor();
    await page.locator("figure").first().hover();
    await page.getByRole("button", { name: "Full screen: train/loss" }).click();
    await address(page, "panel", "train/loss");
    await page.keyboard.press("ArrowRight");
    await address(page, "panel", "val/loss");
    await page.locator('dialog [aria-label^="val/loss: 12 run"]').waitFor();
    await page.goBack();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(word(page, "panel")).toBeNull();
    // What the menu saves is the chart that is in the page again.
    await page.locator("figure").first().hover();
    await page.getByRole("button", { name: "More of train/loss" }).click();
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save as PNG" }).click(),
    ]);
    expect(file.suggestedFilename()).toBe("train_loss.png");
    await close();
  });

  it("is used without a pointer: filter, pin, compare, search, zoom", async () => {
    const { page, close } = await open();
    await drawn(page, 12).first().waitFor();
    await page.keyboard.press("f");
    await page.keyboard.type('name~"^tide-00[5-8]" state:');
    // What is not yet a filter leaves the list as it is, and the server proposes how it may go on.
    await page.locator("[role=listbox] [role=option]").first().waitFor();
    await page.locator("#fault").waitFor();
    for (let i = 0; i < " state:".length; i++) await page.keyboard.press("Backspace");
    await page.getByText("4 of 4 runs shown").waitFor();
    await page.keyboard.press("Enter");
    await page.locator('a[data-run="tides008"]:focus').waitFor();
    await page.keyboard.press("j");
    await page.locator('a[data-run="tides007"]:focus').waitFor();
    await page.keyboard.press("p");
    await page.keyboard.press("b");
    await address(page, "pin", "tides007");
    await address(page, "base", "tides007");
    await page.keyboard.press("Space");
    await address(page, "off", "tides007");
    await page.keyboard.press("l");
    await address(page, "logy", "1");
    await page.keyboard.press("/");
    await page.keyboard.type("val/loss");
    await page.getByText("1 of 8 panels").waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("train/spiky");
    await page.keyboard.press("Enter");
    await address(page, "panel", "train/spiky");
    await page.keyboard.press("Escape");
    await address(page, "panel", null);
    await close();
  });

  it.each(CORNERS)("keeps a view for others, $theme, $width px", async (at) => {
    const kept = `night ${at.width} ${HOSTILE}`;
    let link = "";
    await check("views", "local/tides?logy=1&q=loss", "figure canvas", at, async (page) => {
      await page.getByRole("button", { name: "Views", exact: true }).click();
      await page.getByLabel("Name").fill(kept);
      await page.getByRole("button", { name: "Save as" }).click();
      await page.getByRole("button", { name: kept, exact: true }).waitFor();
      await expect.poll(() => word(page, "view"), SLOWLY).not.toBeNull();
      link = `?view=${word(page, "view")}`;
    });
    const { page, close } = await open(link);
    await page.getByText("2 of 8 panels").waitFor();
    expect(await page.getByLabel("y axis").inputValue()).toBe("1");
    await page.getByLabel("y axis").selectOption("Linear");
    await page.getByRole("button", { name: `View: ${kept} *`, exact: true }).waitFor();
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("button", { name: `View: ${kept}`, exact: true }).waitFor();
    await close();
  });

  it("moves the crosshair by the keyboard and says what it meets", async () => {
    const { page, close } = await open("?q=^lr$");
    await drawn(page, 12).waitFor();
    await page.locator("figure [role=img]").focus();
    await page.keyboard.press("End");
    await page.keyboard.press("ArrowLeft");
    await expect
      .poll(() => page.locator("main > [role=status]").innerText(), SLOWLY)
      .toMatch(/^step.*: tide-0/);
    await page.keyboard.press("+");
    await page.getByRole("button", { name: "Reset zoom" }).waitFor();
    await page.keyboard.press("0");
    await page.getByRole("button", { name: "Reset zoom" }).waitFor({ state: "detached" });
    await close();
  });

  it("draws a density of 310 runs with some lines on it, and says so in the panel", async () => {
    const { page, close } = await open();
    await page.goto(`${server.base}/local/fleet`);
    await drawn(page, 310).waitFor();
    await page.getByText("310 runs: density · 24 as lines").waitFor();
    expect(await page.getByRole("listitem").count()).toBeLessThan(60);
    await close();
  });

  it("follows a run that logs, without asking for the others", async () => {
    const logger = server.logger();
    await logger.tell({ init: { project: "tides", id: "live", name: "spring-tide" } });
    await logger.tell({ log: { "train/loss": 1 } });
    await server.until<{ keys: unknown[] }>(
      "api/v1/p/local:tides/keys?run=live&kind=scalar",
      ({ keys }) => keys.length > 0,
    );
    const { page, close } = await open("?q=^train/loss$");
    await drawn(page, 13).waitFor();
    // What is logged before the page hears of it is asked for with everything else that may have changed.
    await listening(page);
    const bodies: string[][] = [];
    page.on("request", (request) => {
      if (!request.url().endsWith("/series:query")) return;
      const body = request.postDataJSON() as { panels: { runs: { ids: string[] } }[] };
      bodies.push(...body.panels.map((panel) => panel.runs.ids));
    });
    await logger.tell({ log: { "train/loss": 0.123 } });
    await expect
      .poll(() => row(page, "spring-tide").locator("a + div").innerText(), SLOWLY)
      .toContain("0.123");
    expect(new Set(bodies.flat())).toEqual(new Set(["live"]));
    await close();
    await logger.stop();
  });
});
