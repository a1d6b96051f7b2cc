import { describe, expect, it } from "vitest";
import { belowBase, parseRoute, queryText, type Route, routeHref } from "../src/state/router.ts";
import { parseRange } from "../src/state/words.ts";

describe("router", () => {
  it.each<[string, Route]>([
    ["", { page: "projects" }],
    ["local/digits", { page: "workspace", entity: "local", project: "digits" }],
    ["local/digits/", { page: "workspace", entity: "local", project: "digits" }],
    ["local/digits/runs", { page: "runs", entity: "local", project: "digits" }],
    ["local/digits/runs/a1", { page: "run", entity: "local", project: "digits", run: "a1" }],
    ["local", { page: "nowhere" }],
    ["local/digits/a1", { page: "nowhere" }],
    ["local/digits/runs/a1/more", { page: "nowhere" }],
    ["local/%E0%A4%A", { page: "nowhere" }],
  ])("reads %j", (path, route) => {
    expect(parseRoute(path)).toEqual(route);
  });

  it("reads back what it writes, whatever the names", () => {
    for (const name of ["a/b", "100%", "ü?x=1#y", "..", "<img src=x>", "数字", "a b"]) {
      const route: Route = { page: "run", entity: "local", project: name, run: name };
      expect(parseRoute(routeHref(route)), name).toEqual(route);
    }
  });

  it("writes a query that people can read, and reads it back", () => {
    const words: [string, string][] = [
      ["q", "train/loss|acc"],
      ["pin", "a,b"],
      ["zoom", "step:1..2"],
      ["filter", "name=a&b #1 100% ü"],
    ];
    expect(queryText(words.slice(0, 3))).toBe("q=train/loss|acc&pin=a,b&zoom=step:1..2");
    expect([...new URLSearchParams(queryText(words))]).toEqual(words);
  });

  it("knows what is below its base", () => {
    const base = new URL("http://h:1/proxy/8765/");
    expect(belowBase(new URL("http://h:1/proxy/8765/local/digits?x=rel"), base)).toBe("local/digits");
    expect(belowBase(new URL("http://h:1/other/"), base)).toBeNull();
    expect(belowBase(new URL("http://evil/proxy/8765/local"), base)).toBeNull();
  });

  it("takes a zoom only when it is one", () => {
    expect(parseRange("0..16384")).toEqual([0, 16384]);
    expect(parseRange("-1.5..2e3")).toEqual([-1.5, 2000]);
    for (const bad of [null, "", "5", "9..3", "a..b", "1..1", "0..Infinity"])
      expect(parseRange(bad)).toBeNull();
  });
});
