/** The table of runs as people use it: many rows, groups, edits beside others, deeds on many runs, a file. */
import { readFile } from "node:fs/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, Server } from "./harness.ts";
import { CORNERS, HOSTILE, LOOKS, look, type Tail } from "./look.ts";

let server: Server;
let browser: Browser;

const MANY = 3000;
/** A project of many runs without points, as the benchmarks have it; a small one with a hostile run; one run alone. */
const RUNS = `
import os, httpx
from tests.server.streams import Stream

headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}

def log(client, project, i, config, name, tags=(), metrics=()):
    stream = Stream(f"{project}{i:02d}", project=project, name=name, start_us=1_760_000_000_000_000 + i * 60_000_000)
    stream.info.tags.extend(tags)
    writer = stream.writer()
    writer.config(config)
    writer.log([(step, {"loss": (10 - step) / (i + 1), "acc": step / 10, **dict(metrics)}) for step in range(10)])
    client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()

with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False, timeout=60) as client:
    for i in range(8):
        log(client, "small", i, {"opt": "adam" if i % 2 else "sgd", "lr": 0.1 * i, "same": 1}, f"small-{i}", ["odd"] if i % 2 else [])
    log(client, "small", 8, {"opt": HOSTILE, "lr": float("nan"), "same": 1, HOSTILE: HOSTILE}, HOSTILE, [HOSTILE], {HOSTILE: 1.0})
    log(client, "alone", 0, {"opt": "adam"}, "alone")
`;
const BIG = (base: string): string => `
import subprocess, sys
subprocess.run([sys.executable, "-m", "tests.datasets", "w4", "--runs", "${MANY}", "--project", "big", "--data-dir", "${base}"], check=True)
`;

beforeAll(async () => {
  server = await Server.start();
  await server.pause();
  await server.python(BIG(server.dataDir));
  await server.resume();
  browser = await launch();
  await server.python(RUNS.replaceAll("HOSTILE", JSON.stringify(HOSTILE)));
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

function check(...args: Tail<Parameters<typeof look>>): Promise<void> {
  return look({ server, browser }, ...args);
}

/** Other work may share the machine. */
const SLOWLY = { timeout: 60_000 };

interface Asked {
  offset: number;
  limit: number;
  columns: string[];
  group?: string[];
}

async function open(path: string): Promise<{ page: Page; asked: Asked[]; close: () => Promise<void> }> {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const asked: Asked[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/runs:query")) asked.push(request.postDataJSON() as Asked);
  });
  await page.goto(server.link(path));
  await page.locator("tr[data-id]").first().waitFor();
  return { page, asked, close: () => context.close() };
}

const rowOf = (page: Page, run: string) => page.locator(`tr[data-id="${run}"]`);
const cellOf = (page: Page, run: string, column: string) =>
  rowOf(page, run).locator(`[data-column="${column}"]`);
const group = (page: Page, name: string) => page.locator("button[aria-expanded]").filter({ hasText: name });
const head = (page: Page, column: string) => page.locator(`thead [data-column="${column}"]`);
const names = (page: Page): Promise<string[]> =>
  page
    .locator("tr[data-row]")
    .evaluateAll((rows) =>
      rows
        .sort((a, b) => Number(a.getAttribute("data-row")) - Number(b.getAttribute("data-row")))
        .map((row) => row.querySelector('[data-column="name"]')?.textContent ?? ""),
    );

async function openAdam(page: Page): Promise<void> {
  await group(page, "adam").click();
  await rowOf(page, "small01").waitFor();
}

/** Waits for the address: it follows the view a moment later. */
async function address(page: Page, name: string, value: string | null): Promise<void> {
  await expect.poll(() => new URL(page.url()).searchParams.get(name), SLOWLY).toBe(value);
}

async function patch(run: string, edit: unknown): Promise<void> {
  const headers = { Authorization: `Bearer ${server.token}`, "Content-Type": "application/json" };
  const init = { method: "PATCH", headers, body: JSON.stringify(edit) };
  const answer = await fetch(`${server.base}/api/v1/p/local:small/runs/${run}`, init);
  expect(answer.status).toBe(200);
}

const runNow = async (run: string): Promise<{ name: string; tags: string[]; notes: string | null }> =>
  server.until(`api/v1/p/local:small/runs/${run}`, () => true);

describe("the table of runs", () => {
  it.each(CORNERS)("with a hostile run, $theme, $width px", async (at) => {
    await check("table", "local/small/runs", "tr[data-id]", at, async (page) => {
      await cellOf(page, "small03", "name").getByText("small-3").waitFor();
    });
  });

  it("with many runs, groups, columns and a selection, light and wide", async () => {
    const [at] = LOOKS.filter(({ theme, width }) => theme === "light" && width > 900);
    if (at === undefined) throw new Error("no such look");
    await check("table-many", "local/big/runs", "tr[data-id]", at);
    await check("table-groups", "local/small/runs?tgroup=config.opt", "[aria-expanded]", at, openAdam);
    await check("table-columns", "local/small/runs", "tr[data-id]", at, async (page) => {
      await page.getByRole("button", { name: "Columns" }).click();
      await page.getByRole("dialog").getByText("acc").waitFor();
    });
    await check("table-selection", "local/small/runs", "tr[data-id]", at, async (page) => {
      await page.getByLabel("Select small-3").click();
      await page.getByRole("toolbar").getByRole("button", { name: "Tags" }).click();
      await page.getByLabel("Tags, with commas between them").waitFor();
    });
  });

  it("with one run, none, groups, an editor and a menu, dark and narrow", async () => {
    const [at] = LOOKS.filter(({ theme, width }) => theme === "dark" && width < 900);
    if (at === undefined) throw new Error("no such look");
    await check("table-one", "local/alone/runs", "tr[data-id]", at);
    await check("table-no-match", "local/small/runs?filter=state:killed", "text=Clear filter", at);
    await check("table-groups", "local/small/runs?tgroup=config.opt", "[aria-expanded]", at, openAdam);
    await check("table-edit", "local/small/runs", "tr[data-id]", at, async (page) => {
      await cellOf(page, "small03", "name").click({ position: { x: 4, y: 4 } });
      await page.keyboard.press("F2");
      await page.getByLabel("Name", { exact: true }).waitFor();
    });
    await check("table-menu", "local/small/runs", "tr[data-id]", at, async (page) => {
      await page.locator("[role=grid]").focus();
      for (const key of ["ArrowUp", "ArrowRight", "Alt+ArrowDown"]) await page.keyboard.press(key);
      await page.getByRole("menuitem").first().waitFor();
    });
  });

  it("asks for the rows and columns in view only, wherever one scrolls", async () => {
    const { page, asked, close } = await open("local/big/runs");
    const box = page.locator("[role=grid]").locator("..");
    await head(page, "summary.train/loss").waitFor();
    expect(await page.locator("tr[data-row]").count()).toBeLessThan(80);
    for (const row of [2500, 100, 1700]) {
      await box.evaluate((element, top) => element.scrollTo(0, top), row * 28);
      await rowOf(page, `r${String(MANY - 1 - row).padStart(6, "0")}`).waitFor();
    }
    expect(Math.max(...asked.map(({ limit }) => limit))).toBeLessThanOrEqual(250);
    expect(asked.flatMap(({ columns }) => columns)).not.toContain("host");
    await box.evaluate((element) => element.scrollTo(element.scrollWidth, 1700 * 28));
    await expect.poll(() => asked.flatMap(({ columns }) => columns), SLOWLY).toContain("host");
    await expect
      .poll(() => cellOf(page, `r${String(MANY - 1 - 1700).padStart(6, "0")}`, "host").innerText(), SLOWLY)
      .toMatch(/^node/);
    await close();
  });

  it("sorts by several keys, and by the least of a metric, in the address", async () => {
    const { page, close } = await open("local/small/runs");
    await head(page, "config.opt").getByRole("button").first().click();
    await address(page, "tsort", "config.opt");
    await head(page, "summary.loss")
      .getByRole("button")
      .first()
      .click({ modifiers: ["Shift"] });
    await address(page, "tsort", "config.opt,summary.loss");
    await expect
      .poll(async () => (await names(page)).slice(1), SLOWLY)
      .toEqual([7, 5, 3, 1, 6, 4, 2, 0].map((i) => `small-${i}`));
    expect(await head(page, "summary.loss").getAttribute("aria-sort")).toBe("ascending");
    await head(page, "summary.loss").hover();
    await head(page, "summary.loss").getByRole("button", { name: "Column loss" }).click();
    await page.getByRole("menuitem", { name: "Sort by max, highest first" }).click();
    await address(page, "tsort", "-max(loss)");
    await expect.poll(async () => (await names(page))[0], SLOWLY).toBe("small-0");
    await page.keyboard.press("Control+z");
    await address(page, "tsort", "config.opt,summary.loss");
    await close();
  });

  it("groups with mean, deviation and number, and opens a group", async () => {
    const { page, asked, close } = await open("local/small/runs?tgroup=config.opt");
    const adam = page.locator("tr").filter({ has: group(page, "adam") });
    // The last losses of runs 1, 3, 5 and 7 are 1/2, 1/4, 1/6 and 1/8.
    await expect
      .poll(() => adam.locator('[data-column="summary.loss"]').innerText(), SLOWLY)
      .toBe("0.26042 ± 0.145 n 4");
    expect(asked.some(({ group }) => group?.[0] === "config.opt")).toBe(true);
    await adam.getByRole("button").click();
    await rowOf(page, "small07").waitFor();
    await expect.poll(async () => (await names(page)).length, SLOWLY).toBe(3 + 4);
    await adam.getByRole("button").click();
    await rowOf(page, "small07").waitFor({ state: "detached" });
    // A group whose value is hostile is opened as any other.
    await group(page, HOSTILE).click();
    await rowOf(page, "small08").waitFor();
    await close();
  });

  it("chooses, pins, moves and hides columns, which the address and the next visit have", async () => {
    const { page, close } = await open("local/small/runs");
    await page.getByRole("button", { name: "Columns" }).click();
    await page.getByLabel("Search columns").fill("^same$");
    await page.getByRole("dialog").getByRole("checkbox").check();
    await page.keyboard.press("Escape");
    await head(page, "config.same").waitFor();
    await page.locator("[role=grid]").focus();
    await head(page, "summary.loss").click({ position: { x: 2, y: 2 } });
    const first = async (): Promise<string[]> =>
      (
        await page
          .locator("thead th")
          .evaluateAll((all) => all.map((th) => (th as HTMLElement).dataset.column ?? ""))
      ).slice(3, 6);
    const before = await first();
    await head(page, before[0] ?? "").hover();
    await head(page, before[0] ?? "")
      .getByRole("button", { name: /^Column/ })
      .click();
    await page.getByRole("menuitem", { name: "Hide" }).click();
    await head(page, before[0] ?? "").waitFor({ state: "detached" });
    await head(page, before[1] ?? "").hover();
    await head(page, before[1] ?? "")
      .getByRole("button", { name: /^Column/ })
      .click();
    await page.getByRole("menuitem", { name: "Pin at the left" }).click();
    await address(page, "tpin", before[1] ?? "");
    await page.locator("[role=grid]").focus();
    const width = (): Promise<number> =>
      head(page, before[1] ?? "").evaluate((th) => th.getBoundingClientRect().width);
    const narrow = await width();
    const edge = await head(page, before[1] ?? "").boundingBox();
    if (edge === null) throw new Error("no header");
    await page.mouse.move(edge.x + edge.width - 2, edge.y + 10);
    await page.mouse.down();
    await page.mouse.move(edge.x + edge.width + 60, edge.y + 10, { steps: 3 });
    await page.mouse.up();
    await expect.poll(width, SLOWLY).toBeGreaterThan(narrow + 40);
    await page.getByRole("link", { name: "Workspace" }).click();
    await page.getByRole("link", { name: "Runs", exact: true }).click();
    await address(page, "tpin", before[1] ?? "");
    await head(page, "config.same").waitFor();
    await close();
  });

  it("edits in place, and says when somebody else was faster", async () => {
    const { page, close } = await open("local/small/runs");
    await cellOf(page, "small02", "name").click({ position: { x: 4, y: 4 } });
    await page.keyboard.press("F2");
    await page.getByLabel("Name", { exact: true }).fill("mine");
    // What is beside it may change: a name is not a tag.
    await patch("small02", { tags: ["meanwhile"] });
    await page.keyboard.press("Enter");
    await cellOf(page, "small02", "name").getByText("mine", { exact: true }).waitFor();
    expect(await runNow("small02")).toMatchObject({ name: "mine", tags: ["meanwhile"] });
    await page.keyboard.press("F2");
    await page.getByLabel("Name", { exact: true }).fill("mine too");
    await patch("small02", { name: "theirs" });
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("theirs").waitFor();
    expect((await runNow("small02")).name).toBe("theirs");
    await page.getByRole("button", { name: "Save mine" }).click();
    await cellOf(page, "small02", "name").getByText("mine too", { exact: true }).waitFor();
    expect((await runNow("small02")).name).toBe("mine too");
    await page.keyboard.press("t");
    await page.getByLabel("Add a tag").fill("new, newer");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await expect
      .poll(async () => (await runNow("small02")).tags, SLOWLY)
      .toEqual(["meanwhile", "new", "newer"]);
    await page.keyboard.press("n");
    await page.getByLabel("Notes", { exact: true }).fill("two\nlines");
    await page.keyboard.press("Control+Enter");
    await expect.poll(async () => (await runNow("small02")).notes, SLOWLY).toBe("two\nlines");
    await close();
  });

  it("tags, archives and deletes many at once, and takes it back", async () => {
    const { page, close } = await open('local/small/runs?filter=name~"^small"');
    const count = (): Promise<string> => page.locator("main").innerText();
    await page.getByLabel("Select small-1").click();
    await page.getByLabel("Select small-5").click({ modifiers: ["Shift"] });
    await page.getByText("4 selected").waitFor();
    await page.getByRole("toolbar").getByRole("button", { name: "Tags" }).click();
    await page.getByLabel("Tags, with commas between them").fill("night");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByText("4 runs tagged").waitFor();
    expect((await runNow("small03")).tags).toEqual(["odd", "night"]);
    await page.getByRole("button", { name: "Undo", exact: true }).last().click();
    await page.getByText("4 runs as before").waitFor();
    expect((await runNow("small03")).tags).toEqual(["odd"]);
    for (const deed of ["Archive", "Delete"]) {
      await page.getByLabel("Select small-1").click();
      await page.getByRole("toolbar").getByRole("button", { name: deed }).click();
      await rowOf(page, "small01").waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Undo", exact: true }).last().click();
      await rowOf(page, "small01").waitFor();
    }
    await page.getByLabel("Select all runs that match").click();
    await expect.poll(count, SLOWLY).toContain("7 selected");
    await close();
  });

  it("selects all that match and gives them as a file that runs nothing", async () => {
    const { page, close } = await open("local/big/runs?filter=model:gpt-xl");
    await page.getByLabel("Select all runs that match").click();
    const said = page.getByText(/^\d+ selected$/);
    await said.waitFor();
    const selected = Number((await said.innerText()).split(" ")[0]);
    expect(selected).toBeGreaterThan(500);
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "CSV" }).click(),
    ]);
    expect(file.suggestedFilename()).toBe("big-runs.csv");
    const text = await readFile(await file.path(), "utf8");
    expect(text.split("\r\n")).toHaveLength(selected + 2);
    expect(text.slice(0, 18)).toBe("id,state,name,tags");
    await close();
  });

  it("is used without a pointer: filter, move, sort, select, compare", async () => {
    const { page, close } = await open("local/small/runs");
    await page.keyboard.press("f");
    await page.keyboard.type("opt:sgd");
    await expect.poll(async () => (await names(page)).length, SLOWLY).toBe(4);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Enter");
    await page.locator("[role=grid]:focus").waitFor();
    const active = (): Promise<string | null> =>
      page.locator("[role=grid]").evaluate((grid) => {
        const cell = document.getElementById(grid.getAttribute("aria-activedescendant") ?? "");
        return `${cell?.closest("tr")?.dataset.id ?? "head"} ${cell?.dataset.column}`;
      });
    await expect.poll(active, SLOWLY).toBe("small06 name");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    expect(await active()).toBe("small04 tags");
    await page.keyboard.press("Space");
    await page.keyboard.press("Control+ArrowDown");
    expect(await active()).toBe("small00 tags");
    await page.keyboard.press("x");
    await page.getByText("2 selected").waitFor();
    await page.keyboard.press("Control+ArrowUp");
    await page.keyboard.press("Control+Home");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    expect(await active()).toBe("head name");
    await page.keyboard.press("Enter");
    await address(page, "tsort", "name");
    await page.keyboard.press("c");
    await expect.poll(() => new URL(page.url()).pathname, SLOWLY).toBe("/local/small/compare");
    expect(new URL(page.url()).searchParams.get("runs")).toBe("small04,small00");
    await close();
  });

  it("follows runs without moving rows under the hand", async () => {
    const { page, close } = await open("local/small/runs?tsort=name");
    await page.locator("[role=grid]").focus();
    const before = await names(page);
    await patch("small00", { name: "zzz" });
    await cellOf(page, "small00", "name").getByText("zzz").waitFor();
    expect((await names(page)).map((name) => (name === "zzz" ? "small-0" : name))).toEqual(before);
    await page.getByRole("button", { name: "Update" }).click();
    await expect.poll(async () => (await names(page)).at(-1), SLOWLY).toBe("zzz");
    await patch("small00", { name: "small-0" });
    await close();
  });
});
