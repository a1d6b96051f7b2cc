import { beforeEach, describe, expect, it } from "vitest";
import { Scheduler } from "../src/state/scheduler.ts";
import { settle, TestClock } from "./clock.ts";

describe("scheduler", () => {
  let clock: TestClock;
  let calls: number[];
  let answer: () => Promise<void>;
  let scheduler: Scheduler;

  beforeEach(() => {
    clock = new TestClock();
    calls = [];
    answer = () => Promise.resolve();
    const task = (): Promise<void> => {
      calls.push(clock.now());
      return answer();
    };
    scheduler = new Scheduler(task, () => 1000, clock);
  });

  it("acts on the first nudge at once", () => {
    scheduler.nudge();
    expect(calls).toEqual([0]);
  });

  it("merges the nudges of an interval into one call at its end", async () => {
    for (let i = 0; i < 50; i++) {
      scheduler.nudge();
      await clock.pass(50);
    }
    expect(calls).toEqual([0, 1000, 2000]);
    await clock.pass(5000);
    expect(calls).toEqual([0, 1000, 2000, 3000]);
  });

  it("never overlaps: a nudge during a call brings one more after it", async () => {
    let finish: () => void = () => {};
    answer = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    scheduler.nudge();
    await clock.pass(4000);
    scheduler.nudge();
    scheduler.nudge();
    expect(calls).toEqual([0]);
    finish();
    await settle();
    expect(calls).toEqual([0, 4000]);
  });

  it("backs off 1, 2, 5, 15, 15 s and recovers", async () => {
    answer = () => Promise.reject(new Error("down"));
    scheduler.nudge();
    await clock.pass(38_000);
    expect(calls).toEqual([0, 1000, 3000, 8000, 23_000, 38_000]);
    answer = () => Promise.resolve();
    await clock.pass(15_000);
    scheduler.nudge();
    await clock.pass(1000);
    expect(calls.slice(6)).toEqual([53_000, 54_000]);
  });

  it("does nothing while paused and makes up with one call", async () => {
    scheduler.pause();
    for (let i = 0; i < 9; i++) scheduler.nudge();
    await clock.pass(60_000);
    expect(calls).toEqual([]);
    scheduler.resume();
    expect(calls).toEqual([60_000]);
    await clock.pass(9000);
    expect(calls).toHaveLength(1);
  });

  it("runs at once when the user urges, in the interval and in back-off", async () => {
    scheduler.nudge();
    await clock.pass(100);
    scheduler.urge();
    expect(calls).toEqual([0, 100]);
    answer = () => Promise.reject(new Error("down"));
    await clock.pass(1);
    scheduler.urge();
    await clock.pass(10);
    scheduler.urge();
    expect(calls).toEqual([0, 100, 101, 111]);
  });

  it("ends for good", async () => {
    scheduler.nudge();
    scheduler.nudge();
    scheduler.stop();
    scheduler.urge();
    await clock.pass(10_000);
    expect(calls).toEqual([0]);
  });
});
