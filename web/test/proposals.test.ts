import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FilterHelp } from "../src/state/proposals.ts";
import { settle, TestClock } from "./clock.ts";

let clock: TestClock;
let help: FilterHelp;
let asked: {
  text: string;
  place: number;
  answer: (items: string[], column: number, length: number) => void;
}[];

beforeEach(() => {
  clock = new TestClock();
  asked = [];
  vi.stubGlobal("fetch", (_url: string, init: RequestInit) => {
    const body = JSON.parse(String(init.body)) as { text: string; place: number };
    return new Promise<Response>((done) => {
      asked.push({
        ...body,
        answer: (items, column, length) =>
          done(
            Response.json({ kind: "key", column, length, items: items.map((text) => ({ text, runs: 3 })) }),
          ),
      });
    });
  });
  help = new FilterHelp("local:p", clock);
});
afterEach(() => vi.unstubAllGlobals());

async function settled(): Promise<void> {
  for (let i = 0; i < 6; i++) await settle();
}

describe("proposals for a filter", () => {
  it("are asked for when somebody stops typing, once", async () => {
    for (const text of ["s", "st", "sta"]) help.typed(text, text.length);
    await clock.pass(200);
    expect(asked.map(({ text, place }) => [text, place])).toEqual([["sta", 3]]);
  });

  it("of an older line never replace those of a newer one", async () => {
    help.typed("st", 2);
    await clock.pass(200);
    help.typed("la", 2);
    await clock.pass(200);
    asked[1]?.answer(["lr"], 1, 2);
    asked[0]?.answer(["state"], 1, 2);
    await settled();
    expect(help.items.value.map((item) => item.text)).toEqual(["lr"]);
  });

  it("are put where the server says, whatever letters stand before", async () => {
    help.typed("🚢 sta x", 5);
    await clock.pass(200);
    // A ship is one character for the server and two for the browser.
    expect(asked[0]?.place).toBe(4);
    asked[0]?.answer(["state", "sta"], 3, 3);
    await settled();
    expect(help.items.value.map((item) => item.text)).toEqual(["state"]);
    help.move(1);
    expect(help.taken("🚢 sta x", help.chosen.value)).toEqual({ text: "🚢 state x", place: 8 });
    expect(help.taken("🚢 sta x", 7)).toBeNull();
  });

  it("are gone when nobody types any more, also those that are on their way", async () => {
    help.typed("s", 1);
    await clock.pass(200);
    help.close();
    asked[0]?.answer(["state"], 1, 1);
    await settled();
    expect(help.items.value).toEqual([]);
  });
});
