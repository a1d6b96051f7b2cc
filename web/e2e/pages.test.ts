/** Every page in both themes, wide and narrow: accessible, inside of its origin, and nothing that is logged runs. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeFrames } from "../src/data/frames.ts";
import { exactParts, type JsonPanel, panelJson, sameMean } from "../test/comparable.ts";
import { launch, Server } from "./harness.ts";
import { CORNERS, HOSTILE, look, shots, type Tail } from "./look.ts";

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await Server.start();
  browser = await launch();
  console.log(`pictures are in ${shots}`);
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** As `look`, at this file's server. */
function check(...args: Tail<Parameters<typeof look>>): Promise<void> {
  return look({ server, browser }, ...args);
}

/** Waits until the first chart has been drawn. */
async function drawn(page: Page): Promise<void> {
  await page.waitForFunction(() => performance.getEntriesByName("buoy:first-chart").length > 0);
}

async function hover(page: Page): Promise<void> {
  await drawn(page);
  const box = await page.locator("figure .u-over").first().boundingBox();
  if (box === null) throw new Error("no chart");
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
}

describe("without any run", () => {
  it.each(CORNERS)("projects, $theme, $width px", async (look) => {
    await check("empty", "", "text=No runs yet", look);
  });
  it.each(CORNERS)("no such project, no such page: $theme, $width px", async (look) => {
    await check("no-project", "local/nothing", "text=All projects", look);
    await check("nowhere", "a/b/c", "text=There is no such page", look);
  });
});

/** A run with a damaged log, dropped rows, and a machine that was heard of once. */
const LOSSY = `
import os, httpx
from buoy_proto import v1
from tests.server.streams import Stream

stream = Stream("lossy", project="digits", name="broken-mast-7", host="node7")
writer = stream.writer()
writer.log([(step, {"loss": 1 / (step + 1)}) for step in range(200)])
stream.add_gap(1204, "1204 records are lost: /data/runs/lossy/wal/00000003.wal is damaged at byte 52428: checksum")
writer.log([(step, {"loss": 1 / (step + 1)}) for step in range(1404, 1600)])
for number in range(3):
    text = "13 rows were dropped, because the disk of /tmp/state is full"
    event = v1.Event(time_unix_us=stream.start_us + number, level=2 + number % 2, code="records_dropped", text=text)
    stream.add([v1.Record(event=event)], writer.id)
worker = stream.writer(1)
ended = v1.WriterEnd(writer_id=worker.id, state=5, records_dropped=13)
stream.add([v1.Record(writer_end=ended)], worker.id)
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False) as client:
    client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
    client.post("/api/v1/heartbeat", json={"streams": [stream.stream_id.hex()]}).raise_for_status()
`;

describe("with a run that lost something", () => {
  const path = "local/digits/runs/lossy";

  beforeAll(async () => {
    await server.python(LOSSY);
    await server.until<{ state: string }>(
      `api/v1/p/local:digits/runs/lossy`,
      (run) => run.state === "crashed",
    );
  });

  it.each(CORNERS)("says so above the tabs, and tells what happened: $theme, $width px", async (look) => {
    await check("events", `${path}?tab=events`, "text=is damaged at byte 52428", look, async (page) => {
      const notice = await page.getByRole("status").textContent();
      for (const part of [
        "1\u2009204 records of this run are lost",
        "13 rows were dropped",
        "machine node7 since",
      ])
        expect(notice).toContain(part);
      const rows = await page.locator("tbody tr").allTextContents();
      expect(rows[0]).toContain("Nothing has been heard of machine node7");
      expect(rows.filter((row) => row.includes("13 rows were dropped"))).toHaveLength(3);
    });
  });
});

/** Four ranks on two machines, started twice; one rank stands out for a while, another has NaN. */
const RANKS = `
import math, os, httpx
from tests.server.streams import START_US, Stream

headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False) as client:
    for attempt, steps in ((1, range(60)), (2, range(40, 100))):
        for node in range(2):
            start_us = START_US + attempt * 600_000_000
            stream = Stream("wide", project="ranks", host=f"node{node}", start_us=start_us, launch=bytes([attempt]) * 16)
            for rank in (2 * node, 2 * node + 1):
                writer = stream.writer(rank, world_size=4)
                value = lambda step: math.nan if rank == 1 and step == 50 else 9.0 if rank == 3 and step == 25 else 1 + rank
                writer.log([(step, {"loss": value(step)}) for step in steps])
                if rank % 2 == 0:
                    writer.log([(0, {"cpu": 10.0 * rank + attempt})], system=True)
                writer.end()
            client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
`;

describe("with a run of several ranks", () => {
  const path = "local/ranks/runs/wide";

  beforeAll(() => server.python(RANKS));

  /** Moves the pointer to a step of the first chart and gives the lines of its tooltip. */
  async function tooltip(page: Page, share: number): Promise<string[]> {
    await drawn(page);
    const box = await page.locator("figure .u-over").first().boundingBox();
    if (box === null) throw new Error("no chart");
    await page.mouse.move(box.x + share * (box.width - 1), box.y + box.height / 2);
    const rows = page.locator("figure .u-over > div").last().locator("> div");
    await rows.first().waitFor();
    return rows.allTextContents();
  }

  it.each(CORNERS)(
    "shows a band, names the ranks that stand out, marks the second start: $theme, $width px",
    async (look) => {
      await check("band", path, "figure canvas", look, async (page) => {
        expect((await tooltip(page, 25 / 99)).join("|")).toMatch(
          /step 25\|mean of ranks3\.75.*\|highest: rank 39\|lowest: rank 01/,
        );
        const second = (await tooltip(page, 40 / 99)).join("|");
        expect(second).toContain("attempt 2 begins at step 40");
        expect((await tooltip(page, 50 / 99)).join("|")).toMatch(/3 of 4 ranks\|1 NaN or ±Inf, first rank 1/);
        await page.getByText("1 NaN or ±Inf").first().waitFor();
      });
    },
  );

  it("shows a line for each rank when asked, which is in the address", async () => {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await page.goto(server.link(path));
    await page.getByLabel("Ranks").selectOption("Lines");
    expect(new URL(page.url()).searchParams.get("ranks")).toBe("lines");
    await page.waitForFunction(() => document.querySelector("figcaption")?.textContent?.includes("4 lines"));
    await page.getByLabel("Ranks").selectOption("Band");
    await page.waitForFunction(() =>
      document.querySelector("figcaption")?.textContent?.includes("band of 4"),
    );
    await page.goto(server.link(`${path}?tab=system`));
    const lines = (await tooltip(page, 0.99)).join("|");
    expect(lines).toContain("node0");
    expect(lines).toContain("node1");
    await page.close();
  });
});

describe("a run that is deleted", () => {
  const path = "local/bin/runs/gone";
  const LOGGED = RANKS.replace('"wide", project="ranks"', '"gone", project="bin"');

  beforeAll(async () => {
    await server.python(LOGGED);
    const headers = { Authorization: `Bearer ${server.token}` };
    const answer = await fetch(`${server.base}/api/v1/p/local:bin/runs/gone`, { method: "DELETE", headers });
    expect(answer.status).toBe(200);
  });

  it.each(CORNERS)("says so and can be restored: $theme, $width px", async (look) => {
    await check("deleted", path, "text=This run is deleted", look);
  });

  it("is restored and deleted again by hand, asked once more", async () => {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await page.goto(server.link(path));
    await page.getByRole("button", { name: "Restore run" }).click();
    await drawn(page);
    await page.getByRole("button", { name: "Delete run" }).click();
    await page
      .getByRole("dialog", { name: "Delete gone?" })
      .getByRole("button", { name: "Delete run" })
      .click();
    await page.getByText("This run is deleted").waitFor();
    expect(await page.locator("figure").count()).toBe(0);
    await page.close();
  });
});

describe("a run that is to stop", () => {
  it("asks once more, says that it stops, and then how it ended", async () => {
    const logger = server.logger();
    await logger.tell({ init: { project: "stops", id: "long", name: "slow-tide-3" } });
    await logger.tell({ log: { loss: 1 } });
    const api = "api/v1/p/local:stops/runs/long";
    type Found = { state: string; stop: { via: string } | null };
    await server.until<Found>(api, (run) => run.state === "running");
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await page.goto(server.link("local/stops/runs/long"));
    await page.getByRole("button", { name: "Stop run" }).click();
    const dialog = page.getByRole("dialog", { name: "Stop slow-tide-3?" });
    await dialog.getByRole("button", { name: "Cancel" }).click();
    expect((await server.until<Found>(api, () => true)).stop).toBeNull();
    await page.getByRole("button", { name: "Stop run" }).click();
    await dialog.getByRole("button", { name: "Stop run" }).click();
    // The process waits for its stdin and logs nothing, so it takes a second until it hears.
    await page.getByText("Stopping: requested from the dashboard").waitFor();
    expect(await page.getByRole("button", { name: "Stop run" }).count()).toBe(0);
    await page.getByText("killed, stopped by request").waitFor();
    const run = await server.until<Found>(api, (found) => found.state !== "running");
    expect([run.state, run.stop?.via]).toEqual(["killed", "dashboard"]);
    await page.getByRole("link", { name: "Events" }).click();
    await page.getByText("Stop requested from the dashboard.").waitFor();
    await page.close();
    await logger.stop();
  });
});

describe("with runs", () => {
  const id = "first-run";
  const keys = ["lr", "train/loss", "train/loss_spiky", "train/has_nan", "val/loss"];

  beforeAll(async () => {
    const first = server.logger();
    const config = { lr: 3e-4, optimizer: { name: "adam", betas: [0.9, 0.95] }, [HOSTILE]: HOSTILE };
    await first.tell({
      init: { project: "digits", id, name: "swift-current-91", config, tags: ["baseline"], notes: HOSTILE },
    });
    await first.tell({ curve: 2000, keys });
    for (let i = 0; i < 12; i++) {
      const other = server.logger();
      const name = i === 3 ? HOSTILE : `quiet-harbour-${i}`;
      await other.tell({
        init: { project: i === 11 ? "another" : "digits", name, settings: { telemetry: false } },
      });
      await other.tell({ curve: 30 + i, keys: keys.slice(0, 3), seed: i });
      await other.tell({ finish: i % 3 === 0 ? 1 : 0 });
      await other.stop();
    }
    const body = JSON.stringify({ columns: ["state"], limit: 100 });
    await server.until<{ total: number; columns: { state: string[] } }>(
      "api/v1/p/local:digits/runs:query",
      (runs) => runs.total === 13 && runs.columns.state.filter((state) => state === "running").length === 1,
      { method: "POST", body },
    );
    await server.until<{ keys: { key: string; kind: string; n: number }[] }>(
      `api/v1/p/local:digits/keys?run=${id}`,
      (answer) =>
        answer.keys.some((key) => key.kind === "system") && answer.keys.some((key) => key.n === 2000),
    );
  });

  it.each(CORNERS)("projects, $theme, $width px", async (look) => {
    await check("projects", "", "table a", look);
  });
  it.each(CORNERS)("runs, $theme, $width px", async (look) => {
    await check("runs", "local/digits/runs", "table a", look, async (page) => {
      expect(await page.locator("tbody tr").count()).toBe(13);
      expect(await page.locator("tbody").textContent()).toContain(HOSTILE);
    });
  });
  it.each(CORNERS)("charts of a run, $theme, $width px", async (look) => {
    await check("charts", `local/digits/runs/${id}`, "figure canvas", look, hover);
  });
  it.each(CORNERS)("charts on a log axis over time, $theme, $width px", async (look) => {
    await check("charts-log", `local/digits/runs/${id}?x=rel&logy=1&q=loss`, "figure canvas", look, drawn);
  });
  it.each(CORNERS)("overview of a run, $theme, $width px", async (look) => {
    await check("overview", `local/digits/runs/${id}?tab=overview`, "dl", look);
  });
  it.each(CORNERS)("system metrics of a run, $theme, $width px", async (look) => {
    await check("system", `local/digits/runs/${id}?tab=system`, "figure canvas", look, drawn);
  });
  it.each(CORNERS)("the question before a stop, $theme, $width px", async (look) => {
    await check("stop", `local/digits/runs/${id}`, "text=Stop run", look, async (page) => {
      await page.getByRole("button", { name: "Stop run" }).click();
      await page.getByRole("dialog").waitFor();
    });
  });
  it.each(CORNERS)("no chart matches, no such run: $theme, $width px", async (look) => {
    await check("no-match", `local/digits/runs/${id}?q=zzz`, "text=Clear filter", look);
    await check("no-run", "local/digits/runs/nothing", "text=All projects", look);
  });

  it("is used by links, tabs, the back button and a zoom that stays in the address", async () => {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await page.goto(server.link(""));
    await page.getByRole("link", { name: "digits" }).click();
    await page.getByRole("link", { name: "swift-current-91" }).click();
    await page.locator("figcaption", { hasText: "last value" }).first().waitFor({ state: "attached" });
    const box = await page.locator("figure .u-over").first().boundingBox();
    if (box === null) throw new Error("no chart");
    await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 42, { steps: 4 });
    await page.mouse.up();
    await page.getByRole("button", { name: "Reset zoom" }).waitFor();
    const [low = 0, high = 0] = (new URL(page.url()).searchParams.get("range") ?? "").split("..").map(Number);
    expect(low).toBeGreaterThan(400);
    expect(high).toBeLessThan(1100);
    await page.getByRole("link", { name: "Overview" }).click();
    await page.locator("dl").waitFor();
    expect(new URL(page.url()).searchParams.get("range")).toBeNull();
    await page.goBack();
    await page.getByRole("button", { name: "Reset zoom" }).click();
    expect(new URL(page.url()).searchParams.get("range")).toBeNull();
    await page.close();
  });

  it("decodes frames to what the server says in JSON", async () => {
    const keysOf = (x: string): string[] => (x === "step" ? [...keys, "nothing"] : keys);
    for (const x of ["step", "rel", "wall"]) {
      const panels = [40, 160, 3000].map((px, i) => ({
        id: i + 1,
        keys: keysOf(x),
        runs: { ids: [id, "nobody"] },
        x,
        px,
      }));
      const ask = (accept: string): Promise<Response> =>
        fetch(`${server.base}/api/v1/p/local:digits/series:query`, {
          method: "POST",
          headers: {
            Authorization: `Bearer ${server.token}`,
            "Content-Type": "application/json",
            Accept: accept,
          },
          body: JSON.stringify({ panels }),
        });
      const frames = decodeFrames(await (await ask("application/vnd.buoy.frames; v=1")).arrayBuffer()).map(
        panelJson,
      );
      const json = (await (await ask("application/json")).json()) as { panels: JsonPanel[] };
      json.panels.forEach((panel, i) => {
        const theirs = exactParts(panel);
        const ours = exactParts(frames[i] as JsonPanel);
        expect(ours.panel).toEqual(theirs.panel);
        expect(theirs.means.every((mean, k) => sameMean(mean, ours.means[k] ?? []))).toBe(true);
      });
      expect(frames).toHaveLength(3);
    }
  });

  it("draws the one spike of 2 000 points on the canvas", async () => {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await page.goto(server.link(`local/digits/runs/${id}?q=spiky`));
    await drawn(page);
    // The highest tenth of the plot holds nothing but the spike, in the run's colour.
    const rows = await page.evaluate(() => {
      const canvas = document.querySelector("figure canvas") as HTMLCanvasElement;
      const { width, height } = canvas;
      const { data } = canvas.getContext("2d")?.getImageData(0, 0, width, height) ?? {
        data: new Uint8ClampedArray(),
      };
      let found = 0;
      for (let y = Math.round(height * 0.15); y < height * 0.4; y++) {
        for (let x = Math.round(width * 0.6); x < width * 0.75; x++) {
          const at = 4 * (y * width + x);
          if ((data[at + 3] ?? 0) > 120 && (data[at + 2] ?? 0) - (data[at] ?? 0) > 60) {
            found += 1;
            break;
          }
        }
      }
      return found / (height * 0.25);
    });
    expect(rows).toBeGreaterThan(0.9);
    await page.close();
  });
});
