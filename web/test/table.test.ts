import { describe, expect, it } from "vitest";
import { groupFilter } from "../src/state/group-filter.ts";
import { aggregate, autoColumns, layoutOf, shownColumns, titleOf } from "../src/state/table-columns.ts";
import {
  DEFAULT_LOOK,
  hasLook,
  type Look,
  lookOf,
  movedBefore,
  sortedBy,
  withLook,
} from "../src/state/table-look.ts";
import { DEFAULT_VIEW, decodeView, encodeView } from "../src/state/view.ts";
import { inView } from "../src/ui/grid-columns.ts";

const LOOK: Look = {
  columns: ["tags", "summary.val/loss", "config.a,b~c"],
  pins: ["config.opt.name"],
  widths: new Map([["config.opt.name", 180]]),
  sort: [
    { key: "min(val/loss)", desc: true },
    { key: "name", desc: false },
  ],
  group: ["config.opt.name", "host"],
};

describe("the look of the table", () => {
  it("is carried by a view that knows nothing of it, beside the words of others", () => {
    const view = { ...DEFAULT_VIEW, filter: "lr<1", unknown: [["later", "x"] as const] };
    const words = encodeView({ ...view, ...withLook(view, LOOK) });
    expect(words[0]).toEqual(["filter", "lr<1"]);
    const read = decodeView(words);
    expect(lookOf(read)).toEqual(LOOK);
    expect(read.unknown[0]).toEqual(["later", "x"]);
    expect(hasLook(words)).toBe(true);
    expect(encodeView({ ...read, ...withLook(read, DEFAULT_LOOK) })).toEqual(encodeView(view));
  });

  it.each([
    "tsort=,-,",
    "twidth=a.b,c.9999999,.5",
    "tcols=~,~9",
    `tgroup=${[...Array(99).keys()].join(",")}`,
  ])("is made of any words: %s", (text) => {
    const look = lookOf(decodeView(new URLSearchParams(text)));
    expect(look.group.length).toBeLessThanOrEqual(16);
    expect([...look.widths.values()].every((width) => width <= 1000)).toBe(true);
    expect(look.sort.every(({ key }) => key !== "")).toBe(true);
  });

  it("sorts up, down and not, alone or with a further key", () => {
    const up = sortedBy([], "a", false);
    const down = sortedBy(up, "a", false);
    expect([up, down, sortedBy(down, "a", false)]).toEqual([
      [{ key: "a", desc: false }],
      [{ key: "a", desc: true }],
      [],
    ]);
    const two = sortedBy(up, "b", true);
    expect(two.map(({ key }) => key)).toEqual(["a", "b"]);
    expect(sortedBy(two, "a", true)[0]).toEqual({ key: "a", desc: true });
    expect(sortedBy(two, "b", false)).toEqual([{ key: "b", desc: false }]);
    expect(sortedBy([], "created_us", false, true)).toEqual([{ key: "created_us", desc: true }]);
  });

  it("moves columns", () => {
    expect(movedBefore(["a", "b", "c"], "c", "a")).toEqual(["c", "a", "b"]);
    expect(movedBefore(["a", "b", "c"], "a", null)).toEqual(["b", "c", "a"]);
    expect(movedBefore(["a", "b"], "a", "gone")).toEqual(["a", "b"]);
  });
});

describe("columns of the table", () => {
  const known = {
    rev: 1,
    config: [
      { key: "same", runs: 9, differs: false },
      { key: "rare", runs: 1, differs: true },
      { key: "lr", runs: 9, differs: true },
      { key: "unknown", runs: 9, differs: null },
    ],
    summary: [
      { key: "a", series: 1 },
      { key: "lr", series: 9 },
      { key: "glossary", series: 9 },
      { key: "val/loss", series: 9 },
    ],
  };

  it("are the configs that differ and the metrics of most runs, losses first, until somebody chooses", () => {
    const auto = autoColumns(known);
    expect(auto).toEqual(
      [
        "tags",
        "created_us",
        "duration",
        "summary.val/loss",
        "summary.glossary",
        "summary.lr",
        "summary.a",
      ].concat(["config.lr", "config.rare", "host"]),
    );
    expect(shownColumns(DEFAULT_LOOK, auto).pinned).toEqual(["state", "name"]);
    const look = { ...DEFAULT_LOOK, columns: ["host", "name", "host", "tags"], pins: ["tags"] };
    expect(shownColumns(look, auto)).toEqual({ pinned: ["state", "name", "tags"], rest: ["host"] });
  });

  it("are called as people know them", () => {
    expect(["created_us", "config.opt.name", "summary.val/loss", "min(val/loss)"].map(titleOf)).toEqual([
      "Created",
      "opt.name",
      "val/loss",
      "min val/loss",
    ]);
    expect([aggregate("min", "a(b)"), aggregate("max", '"x"')]).toEqual(["min(a(b))", 'max("\\"x\\"")']);
  });

  it("have places, of which those in view are found, and few stay where there is little room", () => {
    const shown = {
      pinned: ["state", "name", "tags"],
      rest: Array.from({ length: 100 }, (_, i) => `config.${i}`),
    };
    const { pinned, rest, restWidth } = layoutOf(shown, DEFAULT_LOOK, "select", false);
    expect(pinned.map(({ id }) => id)).toEqual(["select", "state", "name", "tags"]);
    expect(rest[0]).toMatchObject({ left: 0, index: 5 });
    expect(restWidth).toBe(11_200);
    expect(inView(rest, 1120, 2240)).toEqual([10, 20]);
    expect(inView(rest, -500, 0)).toEqual([0, 0]);
    expect(inView(rest, 99_999, 100_999)).toEqual([100, 100]);
    const narrow = layoutOf(shown, DEFAULT_LOOK, "select", true);
    expect(narrow.pinned.map(({ id }) => id)).toEqual(["select", "state", "name"]);
    expect(narrow.rest[0]?.id).toBe("tags");
  });
});

describe("the runs of a group", () => {
  it("are found by a line of the filter language", () => {
    expect(groupFilter("  ", ["config.opt"], ["adam"])).toBe('"config.opt"="adam"');
    expect(groupFilter("a OR b", ["min(val/loss)", "host"], [0.5, null])).toBe(
      '(a OR b) min("val/loss")=`0.5` "host"=null',
    );
    expect(groupFilter("", ['config.a "b"'], ["\\"])).toBe('"config.a \\"b\\""="\\\\"');
    expect(groupFilter("", ["x"], [{ $float: "nan" }])).toBe('"x"=nan "x"!="nan"');
    expect(groupFilter("", ["x"], [{ $int: "9007199254740993" }])).toBe('"x"=`9007199254740993`');
    expect(groupFilter("", ["tags"], [["a`b"]])).toBe('"tags"=`["a\\u0060b"]`');
  });
});
