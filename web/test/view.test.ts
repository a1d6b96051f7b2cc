import { describe, expect, it } from "vitest";
import { readDraft, type Store, writeDraft } from "../src/state/drafts.ts";
import { amend, begin, change, redo, undo } from "../src/state/history.ts";
import { keepSlots, slotsOf } from "../src/state/slots.ts";
import {
  DEFAULT_VIEW,
  decodeView,
  encodeView,
  hasView,
  inverted,
  isSeen,
  type View,
  type Word,
  withEye,
} from "../src/state/view.ts";
import { joinList, parseRange, rangeText, splitList } from "../src/state/words.ts";

const FULL: View = {
  x: "rel",
  logX: true,
  scale: "symlog",
  smooth: { kind: "twema", s: 0.6 },
  raw: false,
  owns: new Map([
    ["p:train/loss,a|b%7C", { x: "key:tokens, all", scale: "linear", smooth: null, yRange: [-1, 2.5] }],
    ["s:val", { robust: false, logX: false, raw: true, smooth: { kind: "running", s: 21 } }],
  ]),
  group: ["config.lr", "group"],
  groupBand: "minmax",
  robust: true,
  search: "loss|acc",
  filter: "state:running",
  sort: { key: "summary.train/loss", desc: false },
  eyes: { rule: "only", runs: ["a,1", "b~0", "c"] },
  pins: ["c", "a,1"],
  baseline: "c",
  slots: new Map([
    ["run.1", 3],
    ["b~0", 31],
  ]),
  pinnedKeys: ["val/loss,final", "lr"],
  hiddenKeys: "^layers/",
  sections: ["val", "train"],
  closed: ["system"],
  size: 3,
  zoom: new Map([
    ["step", [10, 20]],
    ["rel", [60, 7200]],
    ["key:a:b", [1, 2]],
  ]),
  full: "train/loss",
  saved: "main-1",
  unknown: [["facet", "config.opt"]],
};

describe("a view as words", () => {
  it("is the same view again", () => {
    expect(decodeView(encodeView(FULL))).toEqual(FULL);
    expect(encodeView(decodeView(encodeView(FULL)))).toEqual(encodeView(FULL));
  });

  it("takes no word for what is as by default", () => {
    expect(encodeView(DEFAULT_VIEW)).toEqual([]);
    expect(decodeView([])).toBe(DEFAULT_VIEW);
  });

  it("has one order, whatever order the words came in", () => {
    const given = encodeView(FULL).toReversed();
    expect(encodeView(decodeView(given))).toEqual(encodeView(FULL));
  });

  it("keeps the words of a newer version, behind its own", () => {
    const given: Word[] = [
      ["facet", "0.6"],
      ["x", "rel"],
      ["tab", "charts"],
    ];
    expect(encodeView(decodeView(given))).toEqual([
      ["x", "rel"],
      ["facet", "0.6"],
      ["tab", "charts"],
    ]);
  });

  it("takes what it cannot read for the default", () => {
    const nonsense: Word[] = [
      ["x", "sideways"],
      ["sort", "-"],
      ["size", "99"],
      ["zoom", "step:9..3,rel:NaN..2,up:1..2,,:"],
      ["colour", "a.b,c,d.999,e."],
      ["base", ""],
      ["logy", "yes"],
      ["logx", "yes"],
      ["smooth", "twema:2"],
      ["band", "wide"],
      ["own", "p:a|x=up,q:b|x=rel,p:|x=rel,s:c"],
    ];
    expect(decodeView(nonsense)).toEqual(DEFAULT_VIEW);
  });

  it("knows its own words from others", () => {
    expect(hasView([["token", "1"]])).toBe(false);
    expect(hasView([["q", ""]])).toBe(true);
  });

  it.each([[[]], [["a"]], [["a,b", "~", "~1", ",", "~0~1"]], [["__proto__", "constructor"]]])(
    "lists %j and reads the list back",
    (items) => expect(splitList(joinList(items))).toEqual(items),
  );

  it.each([
    ["1..2", [1, 2]],
    ["-5..0.25", [-5, 0.25]],
    ["1e3..1e4", [1000, 10_000]],
    ["2..1", null],
    ["..5", null],
    ["5..", null],
    ["1..2..3", null],
    [null, null],
  ] as const)("reads the window %s", (text, range) => expect(parseRange(text)).toEqual(range));

  it("writes a window with the digits that its width needs", () => {
    expect(rangeText([1234.56789, 5678.9])).toBe("1235..5679");
    expect(rangeText([0.123456, 0.223456])).toBe("0.1235..0.2235");
  });
});

describe("eyes", () => {
  const all = DEFAULT_VIEW.eyes;

  it("are open for runs that nobody knows yet, until only some are", () => {
    expect(isSeen(all, "later")).toBe(true);
    expect(isSeen({ rule: "only", runs: ["a"] }, "later")).toBe(false);
  });

  it.each([all, inverted(all), { rule: "only", runs: ["a", "b"] } as const])(
    "close and open one by one: %j",
    (eyes) => {
      for (const open of [true, false]) {
        const next = withEye(eyes, "a", open);
        expect(isSeen(next, "a")).toBe(open);
        expect(isSeen(next, "b")).toBe(isSeen(eyes, "b"));
        expect(withEye(next, "a", open)).toBe(next);
      }
    },
  );

  it("turned round are the opposite for every run, and the same after two turns", () => {
    const eyes = withEye(all, "a", false);
    expect(["a", "b"].map((run) => isSeen(inverted(eyes), run))).toEqual([true, false]);
    expect(inverted(inverted(eyes))).toEqual(eyes);
  });
});

describe("undo and redo", () => {
  it("go back and forth through changes", () => {
    let h = change(change(begin("a"), "b"), "c");
    h = undo(undo(undo(h)));
    expect(h.now).toBe("a");
    h = redo(redo(redo(h)));
    expect(h.now).toBe("c");
  });

  it("take changes of one kind in a row for one, until something else happens", () => {
    let h = begin("");
    for (const text of ["l", "lo", "los"]) h = change(h, text, "typing");
    h = change(h, "x");
    h = change(h, "y", "typing");
    expect(undo(h).now).toBe("x");
    expect(undo(undo(undo(h))).now).toBe("");
    const again = change(undo(change(begin("a"), "b", "typing")), "c", "typing");
    expect(undo(again).now).toBe("a");
  });

  it("forget what was undone once something new happens, and what is no change", () => {
    const h = change(undo(change(begin("a"), "b")), "c");
    expect(redo(h)).toBe(h);
    expect(change(h, "c")).toBe(h);
    expect(undo(amend(h, "d")).now).toBe("a");
  });

  it("do not grow for ever", () => {
    let h = begin(0);
    for (let i = 1; i <= 1000; i++) h = change(h, i);
    expect(h.past.length).toBe(100);
  });
});

describe("colour slots", () => {
  const none: ReadonlyMap<string, number> = new Map();
  const runs = (n: number): string[] => Array.from({ length: n }, (_, i) => `r${i}`);

  it("give each of 32 runs its own, and share evenly beyond", () => {
    expect([...slotsOf(none, runs(32)).values()]).toEqual(Array.from({ length: 32 }, (_, i) => i));
    const many = [...slotsOf(none, runs(96)).values()];
    for (let slot = 0; slot < 32; slot++) expect(many.filter((used) => used === slot)).toHaveLength(3);
  });

  it("stay when runs arrive, without anything stored", () => {
    const before = slotsOf(none, runs(5));
    expect(keepSlots(none, before, runs(9))).toBe(none);
  });

  it("stay when an older run is hidden, and the free slot is the next to be used", () => {
    const before = slotsOf(none, runs(4));
    const left = ["r1", "r2", "r3"];
    const stored = keepSlots(none, before, left);
    const after = slotsOf(stored, [...left, "new"]);
    for (const run of left) expect(after.get(run)).toBe(before.get(run));
    expect(after.get("new")).toBe(0);
  });

  it("come back with a run that was hidden for a while, also if another has its slot by now", () => {
    const known = new Map(slotsOf(none, ["a", "b"]));
    let stored = keepSlots(none, known, ["b"]);
    for (const [run, slot] of slotsOf(stored, ["b", "c"])) known.set(run, slot);
    expect(known.get("c")).toBe(0);
    stored = keepSlots(stored, known, ["a", "b", "c"]);
    expect([...slotsOf(stored, ["a", "b", "c"]).values()]).toEqual([0, 1, 0]);
  });

  it("hold through any hiding and showing (200 random ones)", () => {
    let seed = 7;
    const random = (n: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % n;
    };
    const known = new Map<string, number>();
    let stored = none;
    for (let round = 0; round < 200; round++) {
      const drawn = runs(40).filter(() => random(2) === 0);
      stored = keepSlots(stored, known, drawn);
      for (const [run, slot] of slotsOf(stored, drawn)) {
        expect(slot).toBe(known.get(run) ?? slot);
        known.set(run, slot);
      }
    }
  });
});

describe("drafts", () => {
  it("are kept by project, and an empty one is none", () => {
    const kept = new Map<string, string>();
    const store: Store = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    };
    writeDraft(store, "local:a", "logy=1");
    expect([readDraft(store, "local:a"), readDraft(store, "local:b")]).toEqual(["logy=1", null]);
    writeDraft(store, "local:a", "");
    expect(readDraft(store, "local:a")).toBeNull();
  });

  it("are lost without noise where nothing may be stored", () => {
    const forbid = (): never => {
      throw new DOMException("denied", "QuotaExceededError");
    };
    const store: Store = { getItem: forbid, setItem: forbid, removeItem: forbid };
    writeDraft(store, "p", "q=1");
    expect(readDraft(store, "p")).toBeNull();
  });
});
