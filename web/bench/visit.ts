/** A page under observation: its marks, its requests, its main thread, its memory. */
import type { Browser, BrowserContext, CDPSession, Page } from "playwright-core";
import type { Server } from "../e2e/harness.ts";

export interface Sent {
  readonly url: string;
  readonly at: number;
}

const SLOW_MS = 120_000;

/** Runs in every page before its own code: what the browser tells only to those who listen. */
function listen(): void {
  const kept = {
    blocked: [] as [number, number][],
    strokes: 0,
    popped: 0,
    marks: [] as [string, number, unknown][],
  };
  Object.defineProperty(window, "__bench", { value: kept });
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) kept.blocked.push([startTime, duration]);
  }).observe({ type: "longtask", buffered: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      kept.marks.push([entry.name, entry.startTime, (entry as PerformanceMark).detail]);
  }).observe({ type: "mark", buffered: true });
  addEventListener("popstate", () => {
    kept.popped = performance.now();
  });
  const { stroke } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.stroke = function (this: CanvasRenderingContext2D, ...given: [Path2D?]) {
    kept.strokes += 1;
    return (stroke as (...args: [Path2D?]) => void).apply(this, given);
  } as typeof stroke;
}

export interface Kept {
  blocked: [start: number, length: number][];
  strokes: number;
  popped: number;
  marks: [
    name: string,
    at: number,
    detail: { runs?: number; panels?: number; run?: string; last_x?: number },
  ][];
}

export class Visit {
  readonly page: Page;
  readonly cdp: CDPSession;
  readonly sent: Sent[] = [];
  /** Bytes of bodies and headers that have come, also of streams that are still open. */
  received = 0;
  private readonly context: BrowserContext;
  private readonly server: Server;

  private constructor(server: Server, context: BrowserContext, page: Page, cdp: CDPSession) {
    this.server = server;
    this.context = context;
    this.page = page;
    this.cdp = cdp;
    page.on("request", (request) => this.sent.push({ url: request.url(), at: Date.now() }));
    cdp.on("Network.dataReceived", ({ encodedDataLength }) => {
      this.received += encodedDataLength;
    });
    cdp.on("Network.responseReceived", ({ response }) => {
      this.received += response.encodedDataLength;
    });
  }

  /** A browser that has never been here, but is let in. */
  static async begin(browser: Browser, server: Server): Promise<Visit> {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    const answer = await context.request.get(server.link(""));
    if (!answer.ok()) throw new Error(`the server says ${answer.status()}`);
    const page = await context.newPage();
    page.setDefaultTimeout(SLOW_MS);
    const cdp = await context.newCDPSession(page);
    await cdp.send("Performance.enable");
    await cdp.send("Network.enable");
    await page.addInitScript(listen);
    return new Visit(server, context, page, cdp);
  }

  async go(path: string): Promise<void> {
    await this.page.goto(`${this.server.base}/${path}`);
  }

  /** What was kept since the page was loaded. */
  async kept(): Promise<Kept> {
    return this.page.evaluate(() => (window as unknown as { __bench: Kept }).__bench);
  }

  /** Times of a mark, in milliseconds since the page was asked for. */
  async marks(name: string): Promise<number[]> {
    return (await this.kept()).marks.flatMap(([mark, at]) => (mark === name ? [at] : []));
  }

  /** Page time of the first moment after `since` at which all charts in view show their runs. */
  async drawn(since = 0): Promise<number> {
    const found = await this.page.waitForFunction(
      (from) =>
        (window as unknown as { __bench: Kept }).__bench.marks.find(
          ([name, at, detail]) => name === "buoy:view-drawn" && at > from && (detail.runs ?? 0) > 0,
        )?.[1],
      since,
    );
    return (await found.jsonValue()) ?? Number.NaN;
  }

  /** Page time now. */
  now(): Promise<number> {
    return this.page.evaluate(() => performance.now());
  }

  /** Does something and waits until the charts show it; page time from the input's event to the frame. */
  async untilDrawn(event: string, act: () => Promise<void>): Promise<number> {
    await this.page.evaluate((type) => {
      const kept = window as unknown as { __input?: number };
      delete kept.__input;
      addEventListener(
        type,
        (happened) => {
          kept.__input = happened.timeStamp;
        },
        { capture: true, once: true },
      );
    }, event);
    const before = await this.now();
    await act();
    const drawn = await this.drawn(before);
    const input = await this.page.evaluate(() => (window as unknown as { __input?: number }).__input);
    if (input === undefined) throw new Error(`no ${event} has happened`);
    return drawn - input;
  }

  queries(since: number): number {
    return this.sent.filter(({ url, at }) => at >= since && url.endsWith("/series:query")).length;
  }

  async metrics(): Promise<Record<string, number>> {
    const { metrics } = await this.cdp.send("Performance.getMetrics");
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  }

  /** After garbage collection: bytes of the heap, nodes of all documents and nodes that are in one. */
  async memory(): Promise<{ heap: number; nodes: number; attached: number; canvases: number }> {
    for (let i = 0; i < 3; i++) await this.cdp.send("HeapProfiler.collectGarbage");
    const metrics = await this.metrics();
    const attached = await this.page.evaluate(() => {
      const walker = document.createTreeWalker(document, NodeFilter.SHOW_ALL);
      let count = 1;
      while (walker.nextNode() !== null) count += 1;
      return count;
    });
    const canvases = await this.page.locator("canvas").count();
    return { heap: metrics.JSHeapUsedSize ?? 0, nodes: metrics.Nodes ?? 0, attached, canvases };
  }

  /** Seconds that the processes of this browser's pages have been busy, all threads. */
  async rendererSeconds(): Promise<number> {
    const browser = this.context.browser();
    if (browser === null) throw new Error("a page without a browser");
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    await session.detach();
    return processInfo
      .filter(({ type }) => type === "renderer")
      .reduce((sum, { cpuTime }) => sum + cpuTime, 0);
  }

  async end(): Promise<void> {
    await this.context.close();
  }
}
