/** The page of one run: what it is, was given and gave; edited in place; devices; events; the runs beside it. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, Server } from "./harness.ts";
import { HOSTILE, LOOKS, look } from "./look.ts";

let server: Server;
let browser: Browser;

/** Runs with odd values and names, in their order; one started twice, one of its processes failed. */
const RUNS = `
import json, math, os, httpx
from tests.server.streams import START_US, Stream

HOSTILE = ${JSON.stringify(HOSTILE)}
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False, timeout=60) as client:
    def send(stream):
        client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()

    odd = {"lr": 3e-4, "optim": {"name": "adam", "betas": [0.9, 0.95]}, HOSTILE: HOSTILE, "a b": 'say "\\\\"', "nan": math.nan,
           "none": None, "on": True, "tick": ["\`", 1], "text3": "3", "-minus": -1.5e-7, "empty": "", "dotted.key": 7, "in": "x"}
    for number, name in enumerate(["first", "second", "third"]):
        stream = Stream(f"r{number}", project="p", name=name, start_us=START_US + number * 10**9)
        writer = stream.writer(metadata={"program": "train.py", "args": ["--x", HOSTILE], "python": "3.11.7", "host": "n0", "gpu": "H100"})
        writer.config({"lr": 1e-3, "optim": {"name": "adam", "betas": [0.9, 0.95]}, "only": 1} if number == 0 else odd if number == 1 else {})
        if number < 2:
            keys = {"val/acc": lambda s: 1 - 1 / (s + 1), "train/loss": lambda s: 9.0 if s == 1234 else 1 / (s + 1), HOSTILE: lambda s: 1.0, "gone": lambda s: math.nan}
            writer.log([(step, {key: f(step) for key, f in keys.items()}) for step in range(2000)])
            writer.summary({"words": "by hand"})
        if number == 1:
            writer.end(3, 7)
        send(stream)
        if number == 1:
            again = Stream("r1", project="p", name=name, attempt=2, start_us=START_US + 5 * 10**9)
            for rank in range(2):
                process = again.writer(rank, world_size=2)
                process.log([(step, {"val/acc": 0.5}) for step in range(1900, 1950)])
                process.end(2 if rank == 0 else 3, rank)
            send(again)
`;

/** Eight machines with eight cards each, one of which is slow from the middle on, one machine silent for a while. */
const DEVICES = `
import os, httpx
from tests.server.streams import START_US, Stream

headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False, timeout=60) as client:
    for node in range(8):
        stream = Stream("cards", project="p8", name="eight-by-eight", host=f"n{node}", launch=b"l" * 16)
        writer = stream.writer(node * 8, world_size=64)
        if node == 0:
            writer.log([(0, {"loss": 1.0})])
        for k in range(120):
            if node == 5 and 50 < k < 70:
                continue
            util = {f"gpu.{g}.gpu": 61.0 if (node, g) == (3, 5) and k >= 60 else 2.0 if (node, g, k) == (6, 1, 33) else 96.0 for g in range(8)}
            values = util | {f"gpu.{g}.temp": 60.0 + g for g in range(8)} | {"cpu": 30.0 + node}
            stream.add(writer.row(k, values, system=True, time_us=START_US + k * 10_000_000), writer.id)
        client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
`;

beforeAll(async () => {
  server = await Server.start("--crashed-after", "3600");
  browser = await launch();
  await server.python(RUNS);
  await server.python(DEVICES);
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

const RUN = "local/p/runs/r1";
/** Each theme and each width once, where the page differs little from one that is looked at in all. */
const TWO = LOOKS.filter(({ theme, width }) => (theme === "light") === (width === 390));
/** For conditions that come after an answer, on a machine that does much else. */
const SOON = { timeout: 30_000 };

async function open(path: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(server.link(path));
  return page;
}

const query = (page: Page, name: string): string | null => new URL(page.url()).searchParams.get(name);

interface Told {
  name: string;
  notes: string;
  tags: string[];
  edit_tag: string;
  archived: boolean;
}

/** Waits until the server has this of the run. */
const told = (done: (run: Told) => boolean): Promise<Told> =>
  server.until<Told>("api/v1/p/local:p/runs/r1", done);

async function patch(edit: Partial<Told>): Promise<void> {
  await server.until("api/v1/p/local:p/runs/r1", () => true, { method: "PATCH", body: JSON.stringify(edit) });
}

describe("looks", () => {
  it.each(TWO)("overview, $theme, $width px", async (at) => {
    await look({ server, browser }, "run-overview", `${RUN}?tab=overview&base=r0`, "dl", at, async (page) => {
      await page.locator("section[aria-label=Summary] svg path[d^=M]").first().waitFor({ state: "attached" });
      await page.getByRole("columnheader", { name: "first" }).waitFor();
      expect(await page.locator("body").textContent()).toContain(HOSTILE);
    });
  });
  it.each(TWO.slice(0, 1))("overview of a run that has nothing yet, $theme, $width px", async (at) => {
    await look(
      { server, browser },
      "run-nothing",
      "local/p/runs/r2?tab=overview",
      "text=Nothing logged yet",
      at,
    );
  });
  it.each(TWO.slice(1))("a change that came too late, $theme, $width px", async (at) => {
    await look({ server, browser }, "run-edit", `${RUN}?tab=overview`, "dl", at, async (page) => {
      await page.getByRole("button", { name: "Rename the run" }).click();
      await patch({ notes: `somebody's ${Date.now()}` });
      await page.getByRole("textbox", { name: "Rename the run" }).fill("mine");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").waitFor();
    });
  });
});

describe("what people say of a run", () => {
  it("is changed in place, by keys alone", async () => {
    const page = await open(RUN);
    await page.getByRole("button", { name: "Rename the run" }).waitFor();
    await page.keyboard.press("F2");
    await page.keyboard.type("renamed");
    await page.keyboard.press("Enter");
    await told((run) => run.name === "renamed");
    await page.locator("h1", { hasText: "renamed" }).waitFor();
    // The focus is where it was, so that the next key goes on.
    await expect.poll(() => page.evaluate(() => document.activeElement?.id), SOON).toBe("edit-name");
    await page.keyboard.press("n");
    await page.getByRole("textbox", { name: "Edit the note" }).waitFor();
    await page.keyboard.type("two\nlines");
    await page.keyboard.press("Control+Enter");
    await told((run) => run.notes === "two\nlines");
    await page.getByRole("textbox", { name: "Edit the note" }).waitFor({ state: "detached" });
    await page.keyboard.press("t");
    await page.keyboard.type(`${HOSTILE}\nother\n`);
    await told((run) => run.tags.length === 2 && run.tags[0] === HOSTILE);
    await page.getByRole("button", { name: "Remove tag other" }).click();
    await told((run) => run.tags.length === 1);
    expect(await page.evaluate(() => "__pwned" in window)).toBe(false);
    await page.close();
  });

  it("does not write over what somebody else has changed meanwhile, unless told again", async () => {
    await patch({ name: "theirs before" });
    const page = await open(RUN);
    await page.locator("h1", { hasText: "theirs before" }).waitFor();
    await page.getByRole("button", { name: "Rename the run" }).click();
    await patch({ name: "theirs after" });
    await page.getByRole("textbox", { name: "Rename the run" }).fill("mine");
    await page.keyboard.press("Enter");
    await page
      .getByRole("alert")
      .filter({ hasText: "Somebody else has changed this run meanwhile" })
      .waitFor();
    expect((await told(() => true)).name).toBe("theirs after");
    expect(await page.getByRole("textbox", { name: "Rename the run" }).inputValue()).toBe("mine");
    await page.keyboard.press("Enter");
    await told((run) => run.name === "mine");
    await page.locator("h1", { hasText: "mine" }).waitFor();
    await page.close();
  });

  it("adds a tag to those that somebody else has set meanwhile", async () => {
    await patch({ tags: ["old"] });
    const page = await browser.newPage();
    // Nobody tells the page that it is behind.
    await page.route(/\/api\/v1\/(events|p\/[^/]+\/rev)/, (route) => route.abort());
    await page.goto(server.link(`${RUN}?tab=overview`));
    await page.getByRole("button", { name: "Remove tag old" }).waitFor();
    await patch({ tags: ["theirs"] });
    await page.getByRole("textbox", { name: "Add a tag" }).fill("mine");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Remove tag mine" }).waitFor();
    expect((await told(() => true)).tags).toEqual(["theirs", "mine"]);
    await page.close();
  });

  it("puts it away and takes it back out", async () => {
    const page = await open(RUN);
    await page.getByRole("button", { name: "Archive", exact: true }).click();
    await told((run) => run.archived);
    await page.getByRole("button", { name: "Unarchive" }).click();
    await told((run) => !run.archived);
    await page.getByRole("button", { name: "Archive", exact: true }).waitFor();
    await page.close();
  });
});

describe("summary", () => {
  it("has the extremes of each key, also those of one step among thousands, and its curve", async () => {
    const page = await open(`${RUN}?tab=overview`);
    const row = (name: string) =>
      page.locator("section[aria-label=Summary] tbody tr", {
        has: page.getByRole("rowheader", { name, exact: true }),
      });
    await expect.poll(() => row("train/loss").locator("td").nth(2).textContent(), SOON).toBe("9");
    expect(await row("train/loss").locator("td").nth(1).textContent()).toContain("best");
    const paths = row("train/loss").locator("svg path");
    await expect
      .poll(async () => (await paths.nth(1).getAttribute("d"))?.length ?? 0, SOON)
      .toBeGreaterThan(100);
    // NaN and texts are said, not drawn.
    expect(await row("gone").locator("td").first().textContent()).toBe("NaN");
    expect(await row("gone").locator("td").last().textContent()).toBe("◆");
    expect(await row("words").locator("td").allTextContents()).toEqual(["by hand", "–", "–", "–"]);
    await page.close();
  });

  it("asks for all curves at once", async () => {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    const asked: number[] = [];
    page.on("request", (request) => {
      if (request.url().endsWith("series:query")) asked.push(request.postDataJSON().panels.length);
    });
    await page.goto(server.link(`${RUN}?tab=overview`));
    await page.locator("section[aria-label=Summary] svg path[d^=M]").first().waitFor({ state: "attached" });
    expect(asked[0]).toBe(4);
    await page.close();
  });
});

describe("config", () => {
  it("is looked through and reduced to what differs from a baseline, in the address", async () => {
    const page = await open(`${RUN}?tab=overview`);
    const table = page.locator("section[aria-label=Config]");
    await table.getByRole("rowheader", { name: "betas" }).waitFor();
    await page.getByRole("button", { name: "Compare with…" }).click();
    await page.getByRole("combobox").last().fill("first");
    await page.getByRole("listbox").getByRole("option", { name: "first" }).click();
    await table.getByRole("columnheader", { name: "first" }).waitFor();
    await page.getByLabel("Only changed").check();
    await table.getByRole("rowheader", { name: "betas" }).waitFor({ state: "detached" });
    const lr = table.locator("tr", { has: page.getByRole("rowheader", { name: "lr" }) });
    expect((await lr.locator("td").allTextContents()).slice(0, 2)).toEqual(["0.0003", "0.001"]);
    const only = table.locator("tr", { has: page.getByRole("rowheader", { name: "only" }) });
    expect((await only.locator("td").allTextContents()).slice(0, 2)).toEqual(["missing", "1"]);
    expect([query(page, "base"), query(page, "changed")]).toEqual(["r0", "1"]);
    await page.getByLabel("Filter config").fill("^lr$");
    await expect.poll(() => table.locator("tbody tr").count(), SOON).toBe(1);
    await page.reload();
    await expect.poll(() => table.locator("tbody tr").count(), SOON).toBe(1);
    await page.getByRole("link", { name: "All differences" }).click();
    await page.getByRole("heading", { name: "Compare" }).waitFor();
    expect(query(page, "runs")).toBe("r0,r1");
    await page.close();
  });

  it("gives each value as a term of the filter language that finds the run, whatever it is", async () => {
    const page = await open(`${RUN}?tab=overview`);
    const buttons = page.getByRole("button", { name: "Copy as a filter:" });
    await buttons.first().waitFor();
    const names = await Promise.all((await buttons.all()).map((button) => button.getAttribute("aria-label")));
    const terms = names.map((name) => (name ?? "").replace("Copy as a filter: ", ""));
    expect(terms).toHaveLength(14);
    for (const filter of terms) {
      const body = JSON.stringify({ filter, columns: ["name"] });
      const response = await fetch(`${server.base}/api/v1/p/local:p/runs:query`, {
        method: "POST",
        headers: { Authorization: `Bearer ${server.token}`, "Content-Type": "application/json" },
        body,
      });
      const found = (await response.json()) as { ids?: string[]; detail?: string };
      expect(found.ids, `${filter}: ${found.detail ?? ""}`).toContain("r1");
    }
    await page.close();
  });
});

describe("events", () => {
  it("are attempts, ends and what was told, by level", async () => {
    const page = await open(`${RUN}?tab=events`);
    await page.getByText("Attempt 2 begins at step 1\u2009900").waitFor();
    await page.getByText("A process has ended: failed, exit code 1.").waitFor();
    await page.getByText("The run has ended: failed").waitFor();
    await page.getByLabel("info").uncheck();
    await page.getByText("Attempt 2 begins").waitFor({ state: "detached" });
    expect(query(page, "levels")).toBe("error,warn");
    await page.reload();
    await page.getByText("The run has ended: failed").waitFor();
    expect(await page.getByText("Attempt 2 begins").count()).toBe(0);
    await page.getByLabel("error").uncheck();
    await page.getByLabel("warning").uncheck();
    await page.getByText("Nothing of these levels").waitFor();
    await page.close();
  });
});

describe("sixty-four devices", () => {
  const path = "local/p8/runs/cards?tab=system";
  const map = "section[aria-label=Devices] [role=img]";

  it.each(TWO)("look like this, $theme, $width px", async (at) => {
    await look({ server, browser }, "run-devices", path, `${map} canvas`, at, async (page) => {
      await page.getByText("64 devices, middle 96; outliers: n3 gpu 5").first().waitFor();
      await page.locator("section[aria-label=Devices] figure canvas").waitFor();
    });
  });

  it("are one map whose cells are read by keys, with what was low in them and what was not measured", async () => {
    const page = await open(path);
    await page.getByText("outliers: n3 gpu 5 78").first().waitFor();
    await page.locator(map).focus();
    await page.keyboard.press("End");
    for (let row = 0; row < 29; row++) await page.keyboard.press("ArrowDown");
    const said = page.locator("p[role=status]");
    await expect.poll(() => said.textContent(), SOON).toMatch(/^n3 gpu 5, 19 m.*: mean 61, 61 to 61$/);
    // The colours of the slow card and of its neighbour are apart, and what was silent has none.
    const at = (row: number, share: number): Promise<number[]> =>
      page.evaluate(
        ([row, share]) => {
          const canvas = document.querySelector(
            "section[aria-label=Devices] [role=img] canvas",
          ) as HTMLCanvasElement;
          const [x, y] = [Math.floor(canvas.width * share), Math.floor((canvas.height / 64) * (row + 0.25))];
          return [...(canvas.getContext("2d")?.getImageData(x, y, 1, 1).data ?? [])];
        },
        [row, share] as const,
      );
    const [slow, well, silent] = [await at(29, 0.9), await at(28, 0.9), await at(40, 0.51)];
    expect(Math.abs((slow[0] ?? 0) - (well[0] ?? 0))).toBeGreaterThan(30);
    expect(silent[3]).toBe(0);
    expect((await at(29, 0.1)).slice(0, 3)).toEqual(well.slice(0, 3));
    await page.getByLabel("Cells show the").selectOption("lowest");
    await expect.poll(async () => (await at(49, 33.5 / 119))[0], SOON).not.toBe(well[0]);
    await page.close();
  });

  it("can be read as a table, sorted, and seen as lines again", async () => {
    const page = await open(path);
    await page.getByLabel("As a table").check();
    const cells = page.locator("section[aria-label='As a table']");
    const row = (name: string) =>
      cells.locator("tr", { has: page.getByRole("rowheader", { name, exact: true }) }).locator("td");
    expect(await row("n3 gpu 5").first().textContent()).toBe("96");
    expect(await row("n3 gpu 5").last().textContent()).toBe("61");
    expect(await row("n5 gpu 0").nth(6).textContent()).toBe("–");
    const devices = page.locator("section[aria-label^='Devices, the farthest']");
    await expect.poll(() => devices.locator("tbody th").first().textContent(), SOON).toBe("n3 gpu 5 outlier");
    await page.getByLabel("Metric").selectOption("gpu.*.temp");
    await expect.poll(() => devices.locator("tbody tr").first().textContent(), SOON).toContain("60");
    expect(query(page, "metric")).toBe("gpu.*.temp");
    // What few devices have stays a chart of its own.
    await page.locator("figure h3", { hasText: "cpu" }).waitFor();
    await page.getByRole("button", { name: "As lines" }).click();
    await page.locator("figure h3", { hasText: "gpu.3.gpu" }).waitFor();
    await page.getByRole("button", { name: "As a heat map" }).click();
    await page.locator("section[aria-label=Devices]").waitFor();
    await page.close();
  });
});

describe("the runs beside it", () => {
  it("are those of the list that one came from, and keep the tab", async () => {
    const page = await open("local/p?sort=name&filter=name!~nothing");
    await page.locator("a[data-run=r1]").click();
    await page.getByRole("link", { name: "Run before: first" }).waitFor();
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("link", { name: "Next run: third" }).click();
    await page.getByText("Nothing logged yet").waitFor();
    await page.getByRole("link", { name: /^Run before: / }).waitFor();
    expect(await page.getByRole("link", { name: /^Next run: / }).count()).toBe(0);
    await page.keyboard.press("k");
    await page.locator("section[aria-label=Summary]").waitFor();
    expect(new URL(page.url()).pathname).toBe("/local/p/runs/r1");
    await page.keyboard.press("2");
    await page.locator("figure canvas").first().waitFor();
    expect(query(page, "tab")).toBeNull();
    await page.close();
  });
});
