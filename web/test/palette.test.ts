import { describe, expect, it } from "vitest";
import { type Command, find, places } from "../src/state/palette.ts";

const command = (text: string): Command => ({ kind: "action", text, act: () => undefined });
const texts = (names: string[], query: string): string[] =>
  find(names.map(command), query).map((found) => found.command.text);

describe("command palette", () => {
  it("finds letters in their order, whole words first, starts of words before their middles", () => {
    const names = ["val/accuracy", "train/loss", "t-r-l", "gloss", "lr"];
    expect(texts(names, "loss")).toEqual(["train/loss", "gloss"]);
    expect(texts(names, "trl")).toEqual(["train/loss", "t-r-l"]);
    expect(texts(names, "zz")).toEqual([]);
  });

  it("shows everything in its order while nothing is typed, but never too much", () => {
    expect(texts(["b", "a"], " ")).toEqual(["b", "a"]);
    expect(
      texts(
        Array.from({ length: 900 }, (_, i) => `k${i}`),
        "k",
      ),
    ).toHaveLength(50);
  });

  it("tells where it has found them", () => {
    expect(places("train/loss", "loss")).toEqual([6, 7, 8, 9]);
    expect(places("train/loss", "t l")).toEqual([0, 6]);
    expect(places("train", "x")).toBeNull();
  });

  it("prints how long 11 000 commands take a key stroke", () => {
    const many = Array.from({ length: 11_000 }, (_, i) =>
      command(`model/layers.${i % 96}/block_${i}/grad_norm`),
    );
    const before = performance.now();
    for (const query of ["g", "gr", "grad", "l9b7g"]) expect(find(many, query)).toHaveLength(50);
    console.log(
      `palette over 11 000 commands: ${((performance.now() - before) / 4).toFixed(1)} ms a key stroke`,
    );
  });
});
