import { describe, expect, it } from "vitest";
import { ApiError } from "../src/data/api.ts";
import { type Answer, type Question, RowWindow } from "../src/state/row-window.ts";
import { settle, TestClock } from "./clock.ts";

interface Row {
  readonly id: string;
  readonly cells: Readonly<Record<string, string>>;
}

/** A list of runs on a server that answers when it is told to. */
class Asked {
  readonly questions: (Question & { aborted: () => boolean })[] = [];
  readonly clock = new TestClock();
  rev = 1;
  rows = Array.from({ length: 1000 }, (_, i) => `r${i}`);
  readonly window: RowWindow<Row>;
  private readonly waiting: { answer: () => void; fail: (error: unknown) => void }[] = [];

  constructor() {
    const ask = (question: Question, abort: AbortSignal): Promise<Answer<Row>> => {
      this.questions.push({ ...question, aborted: () => abort.aborted });
      const { rev } = this;
      const ids = this.rows.slice(question.offset, question.offset + question.limit);
      const items = ids.map((id) => ({
        id,
        cells: Object.fromEntries(question.columns.map((column) => [column, `${column} ${this.rev}`])),
      }));
      const total = this.rows.length;
      return new Promise((answer, fail) => {
        this.waiting.push({ answer: () => answer({ rev: question.atRev ?? rev, total, items }), fail });
      });
    };
    const merge = (old: Row, news: Row): Row => ({ id: news.id, cells: { ...old.cells, ...news.cells } });
    this.window = new RowWindow(ask, merge, this.clock);
  }

  /** Answers what was asked last. */
  async answer(): Promise<void> {
    this.waiting.at(-1)?.answer();
    await this.clock.pass(100);
  }

  async fail(error: unknown): Promise<void> {
    this.waiting.at(-1)?.fail(error);
    await settle();
  }

  get last(): Question & { aborted: () => boolean } {
    const last = this.questions.at(-1);
    if (last === undefined) throw new Error("nothing was asked");
    return last;
  }
}

describe("a window into a long list", () => {
  it("asks for the pages in view, and for nothing that it has", async () => {
    const asked = new Asked();
    asked.window.need(0, 90, ["a"]);
    expect(asked.last).toMatchObject({ offset: 0, limit: 100, columns: ["a"], atRev: null });
    await asked.answer();
    expect(asked.window.total.value).toBe(1000);
    expect(asked.window.at(99)?.id).toBe("r99");
    asked.window.need(10, 80, ["a"]);
    expect(asked.questions).toHaveLength(1);
    asked.window.need(60, 140, ["a"]);
    expect(asked.last).toMatchObject({ offset: 100, limit: 50, atRev: 1 });
  });

  it("calls back what has left the view, and waits for what has not", async () => {
    const asked = new Asked();
    asked.window.need(0, 50, ["a"]);
    await asked.answer();
    asked.window.need(200, 250, ["a"]);
    const passed = asked.last;
    asked.window.need(220, 270, ["a"]);
    expect([asked.questions.length, passed.aborted()]).toEqual([2, false]);
    asked.window.need(800, 850, ["a"]);
    expect(passed.aborted()).toBe(true);
    await asked.clock.pass(100);
    expect(asked.last.offset).toBe(800);
    await asked.answer();
    expect(asked.window.at(800)?.id).toBe("r800");
    expect(asked.window.at(200)).toBeUndefined();
  });

  it("adds columns to the rows that it has", async () => {
    const asked = new Asked();
    asked.window.need(0, 50, ["a"]);
    await asked.answer();
    asked.window.need(0, 50, ["a", "b"]);
    await asked.answer();
    asked.window.need(0, 50, ["a"]);
    expect(asked.window.at(3)?.cells).toEqual({ a: "a 1", b: "b 1" });
    expect(asked.questions).toHaveLength(2);
  });

  it("keeps the order while values change, until it is asked for the present one", async () => {
    const asked = new Asked();
    asked.window.need(0, 50, ["a"]);
    await asked.answer();
    asked.rev = 2;
    asked.window.refresh();
    expect(asked.last.atRev).toBe(1);
    expect(asked.window.at(0)?.cells.a).toBe("a 1");
    await asked.answer();
    expect(asked.window.at(0)?.cells.a).toBe("a 2");
    asked.rows = ["new", ...asked.rows];
    asked.window.reorder();
    expect(asked.last.atRev).toBeNull();
    // What was there stays until the answer has come.
    expect(asked.window.at(0)?.id).toBe("r0");
    await asked.answer();
    expect(asked.window.at(0)?.id).toBe("new");
    expect(asked.window.rev).toBe(2);
  });

  it("asks anew after a failure of the server, not after one of the question", async () => {
    const asked = new Asked();
    asked.window.need(0, 50, ["a"]);
    await asked.fail(new ApiError(0, "unreachable", "x"));
    expect(asked.window.error.value?.code).toBe("unreachable");
    await asked.clock.pass(999);
    expect(asked.questions).toHaveLength(1);
    await asked.clock.pass(2);
    await asked.answer();
    expect([asked.questions.length, asked.window.error.value]).toEqual([2, null]);
    asked.window.reorder();
    await asked.fail(new ApiError(400, "bad_filter", "x", { column: 1, length: 1 }));
    await asked.clock.pass(60_000);
    expect(asked.questions).toHaveLength(3);
    expect(asked.window.at(0)?.id).toBe("r0");
  });

  it("forgets pages far from the view, and shows an edited row at once", async () => {
    const asked = new Asked();
    asked.rows = Array.from({ length: 10_000 }, (_, i) => `r${i}`);
    for (let at = 0; at < 6000; at += 1000) {
      asked.window.need(at, at + 1000, []);
      await asked.clock.pass(100);
      await asked.answer();
    }
    expect(asked.window.at(0)).toBeUndefined();
    expect(asked.window.at(5999)?.id).toBe("r5999");
    asked.window.put({ id: "r5999", cells: { name: "new" } });
    expect(asked.window.at(5999)?.cells.name).toBe("new");
  });
});
