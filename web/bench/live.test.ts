/** A page that follows runs: how late it is, what it costs, and what it keeps (B14, B17). */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launch, PYTHON, REPOSITORY, Server } from "../e2e/harness.ts";
import { quantile, report } from "./report.ts";
import { type Kept, Visit } from "./visit.ts";

const [RUNS, KEYS, HERTZ, SECONDS] = [20, 12, 10, 30];
const TICKS = 500;
const PAGES = 20;
/** Ticks and page changes before the first look at the memory. */
const WARM = 50;

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await Server.start();
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** Lines that a process writes, one by one; `go` lets it begin. */
function logging(): { next: () => Promise<string>; go: () => void } {
  const script = join(import.meta.dirname, "log_runs.py");
  const child = spawn(PYTHON, [script, ...[RUNS, KEYS, HERTZ, SECONDS].map(String)], {
    cwd: server.folder,
    env: server.environment(),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error("the logging process has ended");
      if (/^[[{]/.test(value)) return value;
    }
  };
  return { next, go: () => child.stdin.write("go\n") };
}

/** Times (ms since 1970) at which a chart of a run showed a step, by `run`; ascending. */
async function shown(page: Page): Promise<Map<string, [lastX: number, at: number][]>> {
  const found = await page.evaluate(() => {
    const { marks } = (window as unknown as { __bench: Kept }).__bench;
    return marks.flatMap(([name, at, { run, last_x }]) =>
      name === "buoy:live-drawn" ? [[run ?? "", last_x ?? 0, performance.timeOrigin + at] as const] : [],
    );
  });
  const byRun = new Map<string, [number, number][]>();
  for (const [run, x, at] of found) byRun.set(run, [...(byRun.get(run) ?? []), [x, at]]);
  return byRun;
}

it("B14 from log() to the pixel", async () => {
  const process = logging();
  const runs = JSON.parse(await process.next()) as string[];
  const visit = await Visit.begin(browser, server);
  await visit.go("local/live");
  await visit.page.waitForFunction((ids) => {
    const hook = (window as unknown as { __buoy: { lastX(run: string, key: string): number | null } }).__buoy;
    return ids.every((run) => hook.lastX(run, "group/key00") === 0);
  }, runs);
  await visit.page.waitForTimeout(2000);
  const [cpu, bytes, began] = [await visit.rendererSeconds(), visit.received, Date.now()];
  process.go();
  const { times } = JSON.parse(await process.next()) as { times: number[][] };
  const seconds = (Date.now() - began) / 1000;
  const busy = ((await visit.rendererSeconds()) - cpu) / seconds;
  const rate = (visit.received - bytes) / seconds / 1000;
  await visit.page.waitForTimeout(3000);
  const drawn = await shown(visit.page);
  await visit.end();
  const late = runs.flatMap((run, number) =>
    (times[number] ?? []).map((logged, i) => {
      const first = drawn.get(run)?.find(([x]) => x >= i + 1);
      return first === undefined ? Number.POSITIVE_INFINITY : first[1] - logged * 1000;
    }),
  );
  expect(late.every(Number.isFinite), "every step that was logged has been on a canvas").toBe(true);
  const gate = { budget: "B14", kind: "gate" } as const;
  const note = `median ${quantile(late, 0.5).toFixed(0)}, worst ${Math.max(...late).toFixed(0)}`;
  report({
    ...gate,
    what: `log() to pixel, ${RUNS} runs of ${KEYS} keys at ${HERTZ} Hz, p95`,
    figure: quantile(late, 0.95),
    target: 1000,
    unit: "ms",
    note,
  });
  report({
    ...gate,
    what: "processor of the page meanwhile, all threads",
    figure: 100 * busy,
    target: 10,
    unit: "%",
  });
  report({ ...gate, what: "network of the page meanwhile", figure: rate, target: 50, unit: "kB/s" });
});

/** Uploads one more point of each of two runs when told to on stdin, and says so. */
const TICKER = `
import os, sys, httpx
from tests.server.streams import Stream
streams = [Stream(f"tick{n}", project="ticks", name=f"tick-{n}") for n in range(2)]
writers = [stream.writer() for stream in streams]
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False, timeout=60) as client:
    for step, _ in enumerate(sys.stdin):
        for stream, writer in zip(streams, writers):
            writer.log([(step, {f"key{k}": (step % 17) / (k + 1) for k in range(6)})])
            client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
            stream.blocks.clear()
        print(step, flush=True)
`;

it("B17 what 500 ticks and 20 page changes leave behind", async () => {
  const child = spawn(PYTHON, ["-c", TICKER], {
    cwd: REPOSITORY,
    env: server.environment(),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let step = -1;
  const tick = async (): Promise<void> => {
    child.stdin.write("\n");
    step = Number((await lines.next()).value);
  };
  await tick();
  const visit = await Visit.begin(browser, server);
  await visit.go("local/ticks");
  const seen = (): Promise<unknown> =>
    visit.page.waitForFunction(
      (x) =>
        (window as unknown as { __buoy: { lastX(run: string, key: string): number | null } }).__buoy.lastX(
          "tick0",
          "key0",
        ) === x,
      step,
    );
  const follow = async (ticks: number): Promise<void> => {
    for (let i = 0; i < ticks; i++) {
      await tick();
      await seen();
    }
  };
  const change = async (pages: number): Promise<void> => {
    for (let i = 0; i < pages; i++) {
      await visit.page.locator('a[href*="/runs/tick"]').first().click();
      await visit.page.waitForFunction(() => location.pathname.includes("/runs/"));
      await visit.page.locator("figure canvas").first().waitFor();
      await visit.page.goBack();
      await visit.page.locator("figure canvas").first().waitFor();
    }
  };
  const forget = (): Promise<void> =>
    visit.page.evaluate(() => {
      const kept = (window as unknown as { __bench: Kept }).__bench;
      kept.marks.length = 0;
      kept.blocked.length = 0;
    });
  await seen();
  await change(WARM / 10);
  await follow(WARM);
  await forget();
  const before = await visit.memory();
  await follow(TICKS / 2);
  await change(PAGES);
  await follow(TICKS / 2);
  await forget();
  const after = await visit.memory();
  child.stdin.end();
  await visit.end();
  const gate = { budget: "B17", kind: "gate" } as const;
  const detached = ({ nodes, attached }: typeof after): number => nodes - attached;
  report({
    ...gate,
    what: "growth of the heap",
    figure: (after.heap - before.heap) / 1e6,
    target: 3,
    unit: "MB",
  });
  report({
    ...gate,
    what: "growth of nodes in no document",
    figure: detached(after) - detached(before),
    target: 50,
    unit: "",
    note: `${detached(after)} in all`,
  });
});
