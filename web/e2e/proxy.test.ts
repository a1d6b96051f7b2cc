/** The dashboard where others have a say: below a path behind a real nginx, and beside pages that mean it harm. */
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Logger, launch, Nginx, Server } from "./harness.ts";

let server: Server;
let browser: Browser;
let logger: Logger;
const run = "local/harbour/runs/moored";
const api = "api/v1/p/local:harbour/runs/moored";
/** Other work may share the machine. */
const SLOWLY = { timeout: 60_000 };

beforeAll(async () => {
  server = await Server.start();
  browser = await launch();
  logger = server.logger();
  await logger.tell({ init: { project: "harbour", id: "moored", name: "quiet-harbour-1" } });
  await logger.tell({ log: { loss: 0.5 } });
  await server.until<{ keys: unknown[] }>(
    "api/v1/p/local:harbour/keys?kind=scalar",
    ({ keys }) => keys.length > 0,
  );
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

describe("behind nginx, below a path", () => {
  let proxy: Nginx;
  let page: Page;
  const asked: string[] = [];

  beforeAll(async () => {
    proxy = await Nginx.start(server);
    page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    page.setDefaultTimeout(60_000);
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(`${proxy.base}?token=${server.token}`);
  });
  afterAll(async () => {
    await page?.close();
    await proxy?.stop();
  });

  it("opens by the link, by links in the page, and by an address deep inside", async () => {
    expect(page.url()).toBe(proxy.base);
    await page.getByRole("link", { name: "harbour" }).click();
    await page.locator("figure canvas").first().waitFor();
    expect(new URL(page.url()).pathname).toBe("/buoy/local/harbour");
    await page.goto(`${proxy.base}${run}?tab=events`);
    await page.getByRole("heading", { name: "quiet-harbour-1" }).waitFor();
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.filter((url) => !url.startsWith(proxy.base) && !url.startsWith("data:"))).toEqual([]);
  });

  it("follows a run that logs, by events that nginx does not hold back", async () => {
    await page.goto(`${proxy.base}local/harbour`);
    const row = page.getByRole("listitem").filter({ hasText: "quiet-harbour-1" });
    await expect.poll(() => row.innerText(), SLOWLY).toContain("0.5");
    const polls = (): number => asked.filter((url) => url.includes("/rev?since")).length;
    const before = polls();
    await logger.tell({ log: { loss: 0.123 } });
    await expect.poll(() => row.innerText(), SLOWLY).toContain("0.123");
    expect(polls()).toBe(before);
    expect(asked.filter((url) => url.includes("/api/v1/events")).length).toBeGreaterThan(0);
  });

  it("changes things", async () => {
    await page.goto(`${proxy.base}${run}`);
    const answered = page.waitForResponse((response) => response.url().endsWith("/stop"));
    await page.getByRole("button", { name: "Stop run" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop run" }).click();
    expect((await answered).status()).toBe(200);
    await server.until<{ stop: unknown }>(api, (found) => found.stop !== null);
  });
});

describe("beside a page of somebody else on another port of the host, which a browser calls the same site", () => {
  let evil: HttpServer;
  let evilBase: string;
  const target = "api/v1/p/local:harbour/runs/moored";

  beforeAll(async () => {
    evil = createServer((_request, response) => {
      response.setHeader("Content-Type", "text/html");
      response.end("<!doctype html><title>prize</title><h1>You have won</h1>");
    });
    await new Promise<void>((done) => evil.listen(0, "127.0.0.1", done));
    evilBase = `http://127.0.0.1:${(evil.address() as AddressInfo).port}/`;
  });
  afterAll(() => evil?.close());

  /** A page of theirs in the browser of somebody who is logged in here. */
  async function lured(): Promise<Page> {
    const page = await browser.newPage();
    await page.goto(server.link(""));
    await page.getByRole("link", { name: "harbour" }).waitFor(SLOWLY);
    await page.goto(evilBase);
    return page;
  }

  it("deletes nothing by a form or a script, although the browser sends the cookie along", async () => {
    const page = await lured();
    const url = `${server.base}/${target}`;
    const form = page.waitForResponse((response) => response.url() === `${url}/restore`);
    await page.evaluate(async (address) => {
      const init: RequestInit = { mode: "no-cors", credentials: "include" };
      await fetch(`${address}/stop`, { ...init, method: "POST", body: "{}" }).catch(() => undefined);
      await fetch(address, { method: "DELETE", credentials: "include" }).catch(() => undefined);
      const made = document.createElement("form");
      Object.assign(made, { action: `${address}/restore`, method: "post", enctype: "text/plain" });
      document.body.append(made);
      made.submit();
    }, url);
    const answer = await form;
    expect(await answer.request().headerValue("cookie"), "the cookie is sent").toContain("buoy_");
    expect([answer.status(), ((await answer.json()) as { code: string }).code]).toEqual([
      403,
      "foreign_origin",
    ]);
    await page.close();
    await server.until(api, () => true);
  });

  it("reads nothing, and frames nothing", async () => {
    const page = await lured();
    const read = await page.evaluate(
      (address) => fetch(address, { credentials: "include" }).then((r) => r.text(), String),
      `${server.base}/api/v1/projects`,
    );
    expect(read).not.toContain("harbour");
    await page.evaluate((address) => {
      document.body.append(Object.assign(document.createElement("iframe"), { src: address }));
    }, `${server.base}/`);
    await expect
      .poll(() => page.frames().some((frame) => frame.url().startsWith("chrome-error:")), SLOWLY)
      .toBe(true);
    await page.close();
  });
});
