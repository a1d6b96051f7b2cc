import { describe, expect, it } from "vitest";
import * as format from "../src/format.ts";

describe("numbers", () => {
  it.each([
    [0, "0"],
    [-0.5, "−0.5"],
    [1.23456789, "1.2346"],
    [12345, "12\u2009345"],
    [1234567, "1\u2009234\u2009567"],
    [12345.678, "12\u2009346"],
    [0.00012345678, "0.00012346"],
    [0.000012345, "1.2345e-5"],
    [123456789.5, "1.2346e8"],
    [1e300, "1e300"],
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "+Inf"],
    [Number.NEGATIVE_INFINITY, "−Inf"],
    [99999.96, "100\u2009000"],
  ])("%s reads %s", (value, text) => {
    expect(format.number(value)).toBe(text);
  });

  it("loses nothing when exact, and writes a float32 with a float32's digits", () => {
    expect(format.exact(Math.fround(0.1))).toBe("0.1");
    expect(format.exact(0.1 + 0.2)).toBe("0.30000000000000004");
    expect(format.exact(-1234567.25)).toBe("−1\u2009234\u2009567.25");
    for (let i = 0; i < 500; i++) {
      const value = Math.fround(Math.random() * 10 ** ((i % 12) - 6));
      expect(Math.fround(Number(format.exact(value).replaceAll("\u2009", "")))).toBe(value);
    }
  });

  it("writes ticks with SI and superscripts", () => {
    expect(format.tick(12000, 2000)).toBe("12k");
    expect(format.tick(12500, 500)).toBe("12.5k");
    expect([2500, 5000, 7500].map((v) => format.tick(v, 2500))).toEqual(["2.5k", "5k", "7.5k"]);
    expect([0.25, 0.5, 0.75].map((v) => format.tick(v, 0.25))).toEqual(["0.25", "0.5", "0.75"]);
    expect(format.tick(2.5e6, 5e5)).toBe("2.5M");
    expect(format.tick(2e-5, 1e-5)).toBe("2×10⁻⁵");
    expect(format.tick(1e-5, 1e-5)).toBe("10⁻⁵");
    expect(format.tick(-0.25, 0.05)).toBe("−0.25");
    expect(format.tick(1e18, 1e18)).toBe("10¹⁸");
    expect([9.5e-4, 1e-3].map((v) => format.tick(v, 5e-5, 1e-3))).toEqual(["0.00095", "0.001"]);
  });

  it("chooses few round ticks", () => {
    expect(format.niceTicks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(format.niceTicks(-3, 7, 5)).toEqual([-2, 0, 2, 4, 6]);
    expect(format.niceTicks(0.1, 0.3, 5)).toEqual([0.1, 0.15, 0.2, 0.25, 0.3]);
    expect(format.niceTicks(5, 5, 5)).toEqual([5]);
  });
});

describe("time", () => {
  it.each([
    [0.42, "0.4 s"],
    [2 ** -9, "2 ms"],
    [0, "0.0 s"],
    [9.96, "10 s"],
    [38.4, "38 s"],
    [310, "5 m 10 s"],
    [60, "1 m"],
    [7980, "2 h 13 m"],
    [86_400 * 3 + 4 * 3600 + 59, "3 d 4 h"],
    [Number.NaN, "–"],
  ])("%s s reads %s", (seconds, text) => {
    expect(format.duration(seconds)).toBe(text);
  });

  it("tells a step, or all steps of a bucket", () => {
    expect(format.position(12, "step")).toBe("step 12");
    expect(format.position(5.5, "step", 4)).toBe("steps 4 to 7");
    expect(format.position(5.5, "rel", 4)).toBe("5.5 s");
  });

  it("tells ages in one unit", () => {
    expect([0.2, 12.7, 200, 7300, 200_000].map(format.ago)).toEqual([
      "just now",
      "12 s ago",
      "3 min ago",
      "2 h ago",
      "2 d ago",
    ]);
  });

  it("labels an axis of seconds in the unit of its ticks", () => {
    expect([0, 15, 45].map((v) => format.axisSeconds(v, 15))).toEqual(["0", "15 s", "45 s"]);
    expect(format.axisSeconds(0.015, 0.005)).toBe("0.015 s");
    expect(format.axisSeconds(90, 30)).toBe("1:30");
    expect(format.axisSeconds(600, 300)).toBe("10 m");
    expect(format.axisSeconds(5400, 1800)).toBe("1:30 h");
    expect(format.axisSeconds(7200, 3600)).toBe("2 h");
    expect(format.axisSeconds(172_800, 86_400)).toBe("2 d");
  });
});
