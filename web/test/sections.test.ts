import { describe, expect, it } from "vitest";
import { matcher, moved, shownSections, sortedSections } from "../src/state/sections.ts";
import { DEFAULT_VIEW } from "../src/state/view.ts";

const names = { plain: "Charts", pinned: "Pinned" };
const keys = ["lr", "train/loss", "train/acc", "val/loss", "layers/0/grad", "layers/1/grad"];
const sorted = sortedSections(keys, names);

function shown(view: Partial<typeof DEFAULT_VIEW>): [string, readonly string[]][] {
  return shownSections(sorted, { ...DEFAULT_VIEW, ...view }, names).sections.map((s) => [s.name, s.keys]);
}

describe("search", () => {
  it("is a regular expression without regard to case", () => {
    const found = matcher("^TRAIN/(loss|acc)$");
    expect(keys.filter(found.test)).toEqual(["train/loss", "train/acc"]);
    expect(found.marks("train/acc")).toEqual([[0, 9]]);
  });

  it.each(["loss(", "[", "*", "(?<a"])("takes %j for plain text", (query) => {
    const found = matcher(query);
    expect(found.test(`x ${query.toUpperCase()} y`)).toBe(true);
    expect(found.test("other")).toBe(false);
    expect(found.marks(`x ${query}`)).toEqual([[2, 2 + query.length]]);
  });

  it("marks nothing for a pattern that matches nothing at all", () => {
    expect(matcher("a*").test("bbb")).toBe(true);
    expect(matcher("a*").marks("bbb")).toEqual([]);
  });
});

describe("sections of a view", () => {
  it("have pinned keys on top, once, in the order in which they were pinned", () => {
    expect(shown({ pinnedKeys: ["val/loss", "gone", "lr"] })).toEqual([
      ["Pinned", ["val/loss", "lr"]],
      ["layers", ["layers/0/grad", "layers/1/grad"]],
      ["train", ["train/acc", "train/loss"]],
    ]);
  });

  it("leave hidden keys out and count them, but not the pinned ones", () => {
    const view = { ...DEFAULT_VIEW, hiddenKeys: "^layers/", pinnedKeys: ["layers/1/grad"] };
    const found = shownSections(sorted, view, names);
    expect(found.sections.map((section) => section.name)).toEqual(["Pinned", "Charts", "train", "val"]);
    expect([found.panels, found.hidden]).toEqual([5, 1]);
  });

  it("are searched, the pinned ones too, and empty ones are not shown", () => {
    expect(shown({ search: "loss", pinnedKeys: ["lr", "val/loss"] })).toEqual([
      ["Pinned", ["val/loss"]],
      ["train", ["train/loss"]],
    ]);
  });

  it("go where they were moved, the others by name", () => {
    expect(shown({ sections: ["val", "train"] }).map(([name]) => name)).toEqual([
      "val",
      "train",
      "Charts",
      "layers",
    ]);
    expect(moved(["a", "b", "c"], "c", -1)).toEqual(["a", "c", "b"]);
    expect(moved(["a", "b"], "b", 1)).toEqual(["a", "b"]);
    expect(moved(["a", "b"], "z", 1)).toEqual(["a", "b"]);
  });

  it("of 10 000 keys are found anew with each key stroke; prints how long one takes", () => {
    const many = Array.from(
      { length: 10_000 },
      (_, i) => `model/layers.${i % 96}/block_${i}/attention/grad_norm`,
    );
    const all = sortedSections(many, names);
    const took: number[] = [];
    const typed = "layers.[1-4]2/.*grad(";
    for (let n = 1; n <= typed.length; n++) {
      const before = performance.now();
      const found = shownSections(all, { ...DEFAULT_VIEW, search: typed.slice(0, n) }, names);
      took.push(performance.now() - before);
      const test = matcher(typed.slice(0, n)).test;
      expect(found.panels).toBe(many.filter(test).length);
    }
    took.sort((a, b) => a - b);
    const text = [took[took.length >> 1], took.at(-1)].map((ms) => ms?.toFixed(1));
    console.log(`search of 10 000 keys: median ${text[0]} ms, worst ${text[1]} ms a key stroke`);
  });
});
