import { beforeEach, describe, expect, it } from "vitest";
import type { Nudge } from "../src/data/types.ts";
import { ANY_REV, bitsFor, Feed, type FeedStatus, type Source } from "../src/state/feed.ts";
import { settle, TestClock } from "./clock.ts";

class FakeSource implements Source {
  onopen: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  closed = false;
  private listener: (event: MessageEvent<string>) => void = () => {};

  addEventListener(_type: string, listener: (event: MessageEvent<string>) => void): void {
    this.listener = listener;
  }
  close(): void {
    this.closed = true;
  }
  send(nudge: Nudge): void {
    this.listener({ data: JSON.stringify(nudge) } as MessageEvent<string>);
  }
}

type Answer = Partial<Nudge> & { rev: number };

describe("feed", () => {
  let clock: TestClock;
  let sources: FakeSource[];
  let polls: {
    since: number;
    resolve: (answer: Answer) => void;
    reject: (error: Error) => void;
    aborted: () => boolean;
  }[];
  let nudges: Nudge[];
  let statuses: FeedStatus[];
  let feed: Feed;

  const start = (project: string | null): void => {
    feed = new Feed(
      project,
      (nudge) => nudges.push(nudge),
      (status) => statuses.push(status),
      {
        clock,
        connect: () => {
          const source = new FakeSource();
          sources.push(source);
          return source;
        },
        poll: (_project, since, signal) =>
          new Promise((resolve, reject) => {
            polls.push({ since, resolve, reject, aborted: () => signal.aborted });
          }),
      },
    );
    feed.start();
  };
  const fail = (source: FakeSource | undefined): void => source?.onerror?.(new Event("error"));
  const open = (source: FakeSource | undefined): void => source?.onopen?.(new Event("open"));

  beforeEach(() => {
    clock = new TestClock();
    sources = [];
    polls = [];
    nudges = [];
    statuses = [];
  });

  it("passes nudges on, and first the revision that the stream begins with", () => {
    start("local:digits");
    open(sources[0]);
    expect(nudges).toEqual([]);
    sources[0]?.send({ p: "local:digits", rev: 6, epoch: 1, runs: [] });
    sources[0]?.send({ p: "local:digits", rev: 7, runs: [["a1", 7, 1]] });
    expect(statuses).toEqual(["connecting", "open"]);
    expect(nudges.map(({ rev, runs }) => [rev, runs.length])).toEqual([
      [6, 0],
      [7, 1],
    ]);
  });

  it("says that everything is to be asked for: of all projects, and when the database is another one", async () => {
    start(null);
    open(sources[0]);
    expect(nudges).toEqual([{ p: "", rev: ANY_REV, runs: [] }]);
    feed.stop();
    start("p");
    sources[1]?.send({ p: "p", rev: 9, epoch: 1, runs: [] });
    fail(sources[1]);
    await clock.pass(1000);
    sources[2]?.send({ p: "p", rev: 9, epoch: 2, runs: [] });
    expect(nudges.slice(1).map(({ rev }) => rev)).toEqual([9, ANY_REV]);
  });

  it("goes to the long poll after two failed connects, from the revision it has", async () => {
    start("p");
    open(sources[0]);
    sources[0]?.send({ p: "p", rev: 41, runs: [["a", 41, 1]] });
    fail(sources[0]);
    await clock.pass(1000);
    fail(sources[1]);
    await clock.pass(2000);
    expect(sources).toHaveLength(2);
    expect(polls[0]?.since).toBe(41);
    polls[0]?.resolve({ rev: 42, runs: [["a", 42, 1]] });
    await settle();
    expect(nudges.at(-1)).toEqual({ p: "p", rev: 42, runs: [["a", 42, 1]] });
    expect(statuses.at(-1)).toBe("open");
    expect(polls[1]?.since).toBe(42);
  });

  it("keeps quiet when a long poll ends without news", async () => {
    start("p");
    fail(sources[0]);
    await clock.pass(1000);
    fail(sources[1]);
    await clock.pass(2000);
    polls[0]?.resolve({ rev: 0 });
    await settle();
    expect(nudges).toEqual([]);
    expect(polls).toHaveLength(2);
  });

  it("says lost while nothing answers, and tries both ways in turn", async () => {
    start("p");
    for (let round = 1; round <= 3; round++) {
      for (let i = 0; i < 2; i++) {
        fail(sources.at(-1));
        expect(statuses.at(-1)).toBe("lost");
        await clock.pass(15_000);
      }
      expect([sources.length, polls.length]).toEqual([2 * round, round]);
      polls.at(-1)?.reject(new Error("down"));
      await clock.pass(15_000);
    }
    open(sources.at(-1));
    expect(statuses.at(-1)).toBe("open");
  });

  it("tries the stream of all projects again, because that has no long poll", async () => {
    start(null);
    for (let i = 0; i < 4; i++) {
      fail(sources[i]);
      await clock.pass(15_000);
    }
    expect(sources).toHaveLength(5);
    expect(polls).toEqual([]);
  });

  it("holds nothing open once stopped", async () => {
    start("p");
    feed.stop();
    expect(sources[0]?.closed).toBe(true);
    fail(sources[0]);
    await clock.pass(60_000);
    expect(sources).toHaveLength(1);
  });

  it("merges the bits of one run and takes an empty list for everything", () => {
    const runs: Nudge["runs"] = [
      ["a", 1, 1],
      ["b", 2, 4],
      ["a", 3, 2],
    ];
    expect(bitsFor({ p: "p", rev: 3, runs }, "a")).toBe(3);
    expect(bitsFor({ p: "p", rev: 3, runs }, "c")).toBe(0);
    expect(bitsFor({ p: "p", rev: 3, runs: [] }, "c") & 37).toBe(37);
  });
});
