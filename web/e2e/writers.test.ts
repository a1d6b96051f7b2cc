/** The table of processes with one of them, with some, and with a thousand, some of which are in trouble. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "../src/data/types.ts";
import { launch, Server } from "./harness.ts";
import { CORNERS, look } from "./look.ts";

let server: Server;
let browser: Browser;

/** Ranks that log until the server has found the one that died and those that stopped; and a backlog. */
const job = (ranks: number): string => `
import os, time, httpx
from tests.server.streams import Stream

RANKS = ${ranks}
start_us = time.time_ns() // 1000
stream = Stream(f"r{RANKS}", project="jobs", name=f"job-of-{RANKS}", start_us=start_us)
writers = []
for rank in range(RANKS):
    stream.host = f"gpu-node-{rank // 8:03}"
    writers.append(stream.writer(rank, world_size=RANKS))
quiet = {5, 6} if RANKS >= 8 else set()
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False, timeout=60) as client:
    def post():
        client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
        stream.blocks.clear()
        mine = stream.stream_id.hex()
        behind = {mine: {"next_seq": stream.seq, "writers": {writers[0].id.hex(): 3 << 20}}} if RANKS in (16, 64) else {}
        client.post("/api/v1/heartbeat", json={"streams": [mine], "behind": behind}).raise_for_status()
    def run():
        return client.get(f"/api/v1/p/local:jobs/runs/r{RANKS}").json()
    for step in range(1, 400):
        for rank, writer in enumerate(writers):
            # Of a large job most ranks are only there to be shown, and have logged nothing.
            if (step > 8 and rank in quiet) or rank >= 64:
                continue
            now_us = time.time_ns() // 1000
            stream.add(writer.row(step, {"loss": 1.0 / step}, time_us=now_us), writer.id)
        if step == 8 and RANKS >= 8:
            writers[3].end(3, 1)
            quiet.add(3)
        post()
        marks = {writer["mark"] for writer in run()["writers"]} if step % 4 == 0 or RANKS == 1 else set()
        if RANKS == 1 or {"dead", "stopped"} <= marks:
            break
        time.sleep(0.2)
`;

beforeAll(async () => {
  server = await Server.start("--rank-stopped-after", "6", "--crashed-after", "3600");
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

const SIZES = (process.env.BUOY_E2E_RANKS ?? "16").split(",").map(Number);

describe.each(SIZES)("with %i ranks", (ranks) => {
  const path = `local/jobs/runs/r${ranks}?tab=overview`;

  beforeAll(async () => {
    await server.python(job(ranks));
  }, 300_000);

  it("the server has marked them", async () => {
    const run = await server.until<Run>(`api/v1/p/local:jobs/runs/r${ranks}`, () => true);
    const marked = run.writers.filter((writer) => writer.mark !== null).map((w) => [w.rank, w.mark]);
    if (ranks >= 8 && ranks <= 64)
      expect(marked).toEqual([
        [3, "dead"],
        [5, "stopped"],
        [6, "stopped"],
      ]);
  });

  it.each(CORNERS)("$theme, $width px", async (at) => {
    await look({ server, browser }, `writers-${ranks}`, path, "text=Process id", at, async (page: Page) => {
      const table = page.locator("section[aria-label=Processes]");
      await table.scrollIntoViewIfNeeded();
      const first = await table.locator("tbody tr:not(:empty) th").first().textContent();
      expect(first).toBe(ranks >= 8 ? "3" : "0");
      // However many there are, few are drawn.
      expect(await table.locator("tbody tr").count()).toBeLessThanOrEqual(66);
    });
  });

  it.runIf(ranks > 64)("scrolls to the last one", async () => {
    const page = await browser.newPage();
    await page.goto(server.link(path));
    const table = page.locator("section[aria-label=Processes]");
    await table.locator("tbody th").first().waitFor();
    await table.evaluate((element) => element.scrollTo(0, element.scrollHeight));
    await table.getByRole("rowheader", { name: "1\u2009023" }).waitFor();
    await page.close();
  });
});
