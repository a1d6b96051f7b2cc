import { describe, expect, it } from "vitest";
import { clausesOf, without } from "../src/state/clauses.ts";

describe("clauses of a filter", () => {
  it.each([
    ["", []],
    ["  ", []],
    ["state:running lr<1e-3", ["state:running", "lr<1e-3"]],
    ['name~"a b" -tag:x', ['name~"a b"', "-tag:x"]],
    ['name:"a \\" b" x', ['name:"a \\" b"', "x"]],
    ["(a OR b) -state:crashed", ["(a OR b)", "-state:crashed"]],
    ["min(val/loss) < 0.2 gpt", ["min(val/loss) < 0.2", "gpt"]],
    ["config.opt in (adam, sgd) x", ["config.opt in (adam, sgd)", "x"]],
    ["opt not in (adam) AND NOT tag:x", ["opt not in (adam)", "NOT tag:x"]],
    ["lr: 3 y", ["lr: 3", "y"]],
    ["a OR b c", ["a OR b c"]],
    ["x (a", ["x (a"]],
    ['x "a b', ['x "a b']],
    ["lr=`[1, 2]` z", ["lr=`[1, 2]`", "z"]],
  ])("of %j are %j", (line, clauses) => expect(clausesOf(line)).toEqual(clauses));

  it("can be taken away one by one until nothing is left", () => {
    let line = 'state:running  lr<1e-3 name~"a b"';
    line = without(line, 1);
    expect(line).toBe('state:running name~"a b"');
    expect(without(without(line, 0), 0)).toBe("");
  });
});
