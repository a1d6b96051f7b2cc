/** What a comparison is made of: places in several trees, their rows, differences, and terms to look for them. */
import { describe, expect, it } from "vitest";
import { configTerm } from "../src/data/filter-terms.ts";
import { entriesOf, leavesOf, same } from "../src/data/leaves.ts";
import { diff } from "../src/data/text-diff.ts";
import type { Json } from "../src/data/types.ts";
import { deltaOf, goalFor } from "../src/state/deltas.ts";
import { type OutlineLook, outline } from "../src/state/outline.ts";
import { parseRoute, routeHref } from "../src/state/router.ts";

const NAN = { $float: "nan" };

describe("places", () => {
  it("are the ends of trees; numbers in disguise and empty mappings are ends too", () => {
    const tree = { a: { b: 1, c: {} }, n: NAN, big: { $int: "99999999999999999999" }, list: [1, { x: 2 }] };
    expect(leavesOf(tree).map(({ path }) => path.join("."))).toEqual(["a.b", "a.c", "n", "big", "list"]);
  });

  it("differ where a run has another value or none, never because a run is unknown", () => {
    const trees = [{ a: 1, b: NAN, c: { x: 1, y: 2 } }, { a: 1, b: NAN, c: { y: 2, x: 1 }, d: null }, null];
    const entries = entriesOf(trees.map((tree) => tree && leavesOf(tree)));
    const differing = entries.filter((entry) => entry.differs).map(({ path }) => path.join("."));
    expect(differing).toEqual(["d"]);
    expect(entries.at(-1)?.values).toEqual([undefined, null, undefined]);
  });

  it("says of values whether they are the same", () => {
    expect(same({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] })).toBe(true);
    expect(same([1, 2], { 0: 1, 1: 2 })).toBe(false);
    expect(same({ a: 1 }, { b: 1 })).toBe(false);
    expect(same(0, -0)).toBe(true);
    expect(same(1, "1")).toBe(false);
    expect(same(null, undefined)).toBe(false);
  });
});

describe("rows", () => {
  const trees: { [key: string]: Json }[] = [
    { optim: { lr: 1, name: "adam" }, seed: 3 },
    { optim: { lr: 2, name: "adam" }, seed: 3, "we.ird": "" },
  ];
  const groups = [{ id: "config", name: "Config", entries: entriesOf(trees.map(leavesOf)), sorted: true }];
  const look: OutlineLook = { closed: new Set(), only: false, test: null };
  const names = (part: Partial<OutlineLook>): string[] =>
    outline(groups, { ...look, ...part }).map((row) => `${" ".repeat(row.depth)}${row.name}`);

  it("are branches and ends by name", () => {
    expect(names({})).toEqual(["Config", " optim", "  lr", "  name", " seed", " we.ird"]);
    expect(outline(groups, look)[0]).toMatchObject({ leaves: 4, differing: 2 });
  });

  it("can be folded, reduced to differences, and looked for by path and value", () => {
    expect(names({ closed: new Set(["config.optim"]) })).toEqual(["Config", " optim", " seed", " we.ird"]);
    expect(names({ only: true })).toEqual(["Config", " optim", "  lr", " we.ird"]);
    expect(names({ test: (text) => text.includes("optim.n") })).toEqual(["Config", " optim", "  name"]);
    expect(names({ test: (text) => text === "3" })).toEqual(["Config", " seed"]);
    // What is looked for is shown, whatever was folded before.
    const closed = new Set(["config", "config.optim"]);
    expect(names({ closed, test: (text) => text.includes("lr") })).toEqual(["Config", " optim", "  lr"]);
    expect(names({ test: () => false })).toEqual([]);
  });
});

describe("differences", () => {
  it.each([
    [1.874, 1.931, -1, "▼\u20090.057 \u22123\u2009%", "better"],
    [1.951, 1.931, -1, "▲\u20090.02 +1\u2009%", "worse"],
    [0.9, 0.8, 1, "▲\u20090.1 +12\u2009%", "better"],
    [3e-4, 6e-4, 0, "▼\u20090.0003 ×0.5", ""],
    [4000, 2000, 0, "▲\u20092\u2009000 ×2", ""],
    [1, 0, 0, "▲\u20091", ""],
    [1, -1, 0, "▲\u20092 +200\u2009%", ""],
  ] as const)("%d against %d", (value, base, goal, text, sense) => {
    expect(deltaOf(value, base, goal)).toEqual({ text, sense });
  });

  it.each([
    [1, 1],
    [NAN, 1],
    [1, NAN],
    [{ $float: "inf" }, 1],
    ["2", 1],
    [true, 0],
    [undefined, 1],
  ])("of %j against %j there are none", (value, base) => {
    expect(deltaOf(value, base, -1)).toBeNull();
  });

  it("are judged as the run said, else as far as the name tells", () => {
    expect(goalFor("val/loss", null)).toBe(-1);
    expect(goalFor("val/loss", "maximize")).toBe(1);
    expect(goalFor("whatever", "minimize")).toBe(-1);
    expect(goalFor("whatever", undefined)).toBe(0);
  });
});

describe("texts", () => {
  it("are compared by words in one line", () => {
    expect(diff("train.py --lr 0.1 --seed 3", "train.py --lr 0.2 --seed 3")).toEqual([
      { kind: "both", text: "train.py --lr " },
      { kind: "before", text: "0.1" },
      { kind: "after", text: "0.2" },
      { kind: "both", text: " --seed 3" },
    ]);
  });

  it("are compared by lines where there are several", () => {
    expect(diff("a\nb\nc\n", "a\nx\nc\nd\n")).toEqual([
      { kind: "both", text: "a\n" },
      { kind: "before", text: "b\n" },
      { kind: "after", text: "x\n" },
      { kind: "both", text: "c\n" },
      { kind: "after", text: "d\n" },
    ]);
    expect(diff("", "")).toEqual([]);
  });

  it("are both there again, whatever they were, also when they are too long to be compared well", () => {
    const words = (n: number, from: number): string =>
      Array.from({ length: n }, (_, i) => `w${(i * 7 + from) % 50}`).join(" ");
    for (const [a, b] of [
      [words(200, 1), words(180, 4)],
      [words(3000, 1), words(3000, 2)],
      ["x", ""],
      ["  a  b ", "a b"],
    ] as const) {
      const pieces = diff(a, b);
      const side = (kind: string): string =>
        pieces.map((piece) => (piece.kind === "both" || piece.kind === kind ? piece.text : "")).join("");
      expect(side("before")).toBe(a);
      expect(side("after")).toBe(b);
    }
  });
});

describe("terms", () => {
  it.each([
    [["lr"], 3e-4, "config.lr=0.0003"],
    [["opt", "name"], "adam", 'config.opt.name="adam"'],
    [["my key"], 'a "b" \\c', 'config."my key"="a \\"b\\" \\\\c"'],
    [["-x"], -1, 'config."-x"=-1'],
    [["n"], NAN, "config.n=nan"],
    [["n"], null, "config.n=`null`"],
    [["n"], [0.9, "`"], 'config.n=`[0.9,"\\u0060"]`'],
    [["n"], true, "config.n=`true`"],
  ] as const)("of %j with %j", (path, value, term) => {
    expect(configTerm(path, value as Json)).toBe(term);
  });
});

it("has an address of its own", () => {
  const route = { page: "compare", entity: "me", project: "a b" } as const;
  expect(routeHref(route)).toBe("me/a%20b/compare");
  expect(parseRoute(routeHref(route))).toEqual(route);
});
