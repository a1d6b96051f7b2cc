import { describe, expect, it } from "vitest";
import { lasted } from "../src/data/lasted.ts";
import { cell, isTree, show } from "../src/data/values.ts";
import { matcher } from "../src/state/sections.ts";
import { snippet } from "../src/views/projects.tsx";

describe("values", () => {
  it("shows what JSON cannot hold", () => {
    expect(show({ $float: "nan" })).toEqual({ text: "NaN", numeric: true });
    expect(show({ $float: "-inf" }).text).toBe("−Inf");
    expect(show({ $int: "123456789012345678901234567890" }).text).toBe("123456789012345678901234567890");
    expect(show([1, { $float: "inf" }, "a", null, true]).text).toBe("[1, +Inf, a, null, true]");
  });

  it("tells a mapping of the user from a stand-in for one number", () => {
    expect(isTree({ lr: 1 })).toBe(true);
    expect(isTree({})).toBe(true);
    expect([{ $float: "nan" }, { $int: "1" }, [1], null, "x", 3].some((v) => isTree(v))).toBe(false);
  });

  it("reads numeric cells with their words", () => {
    expect([cell(1.5), cell("Infinity"), cell("-Infinity")]).toEqual([1.5, Infinity, -Infinity]);
    expect(cell("NaN")).toBeNaN();
    expect(cell({ $float: "nan" })).toBeNaN();
    expect([cell({ $float: "-inf" }), cell({ $int: "-12" }), cell({ min: 1 })]).toEqual([
      -Infinity,
      -12,
      undefined,
    ]);
    expect([cell("text"), cell(null), cell(undefined), cell(true)]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("runs table", () => {
  it("measures how long a run lasted", () => {
    expect(lasted(1e6, 4e6, false, 0)).toBe(3);
    expect(lasted(1e6, null, true, 6000)).toBe(5);
    expect(lasted(1e6, null, false, 6000)).toBeNull();
    expect(lasted(null, null, true, 6000)).toBeNull();
  });
});

describe("words", () => {
  it("filter as a regular expression, or as text when it is not one", () => {
    const keys = ["train/loss", "val/loss", "lr(0)"];
    expect(keys.filter(matcher("^train|lr").test)).toEqual(["train/loss", "lr(0)"]);
    expect(keys.filter(matcher("lr(").test)).toEqual(["lr(0)"]);
    expect(keys.filter(matcher("LOSS").test)).toHaveLength(2);
    expect(keys.filter(matcher("").test)).toHaveLength(3);
  });

  it("name the server in the first script unless it is the one everybody tries", () => {
    expect(snippet("http://127.0.0.1:8765")).not.toContain("base_url");
    expect(snippet("https://host/buoy")).toContain('"base_url": "https://host/buoy"');
  });
});
