import { signal } from "@preact/signals";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { keptText, newId, Shelf } from "../src/state/shelf.ts";
import { DEFAULT_VIEW, decodeView, type View } from "../src/state/view.ts";

interface Stored {
  id: string;
  name: string;
  changed_us: number;
  edit_tag: string;
  content: { schema: number; kind: string; query: string };
}

let stored: Map<string, Stored>;
let view: ReturnType<typeof signal<View>>;
let shelf: Shelf;

/** The server's part: tags that change with each version, and its answer to a version that is not the present one. */
function serve(url: string, init: RequestInit): Response {
  const id = decodeURIComponent(url.split("/views/")[1] ?? "");
  const found = stored.get(id);
  const headers = new Headers(init.headers);
  if (id === "") return Response.json({ views: [...stored.values()] });
  if (init.method === "DELETE") {
    stored.delete(id);
    return Response.json({ id, deleted: true });
  }
  if (init.method !== "PUT")
    return found === undefined ? Response.json({ detail: "none" }, { status: 404 }) : Response.json(found);
  const wanted = headers.get("If-Match");
  if (wanted !== null && wanted !== `"${found?.edit_tag}"`) {
    return Response.json({ code: "stale", detail: "somebody was faster" }, { status: 412 });
  }
  const body = JSON.parse(String(init.body)) as Pick<Stored, "name" | "content">;
  stored.set(id, { id, changed_us: 1, edit_tag: `t${Math.random()}`, ...body });
  return Response.json(stored.get(id));
}

beforeEach(() => {
  stored = new Map();
  view = signal<View>({ ...DEFAULT_VIEW, scale: "log" });
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => Promise.resolve(serve(url, init)));
  shelf = new Shelf("local:p", view as { value: View; peek(): View }, (next) => {
    view.value = next;
  });
});
afterEach(() => vi.unstubAllGlobals());

describe("kept views", () => {
  it("are saved under a name, changed, saved again, and opened elsewhere as they were", async () => {
    await shelf.saveAs("Night runs!");
    expect([shelf.name.value, shelf.modified.value]).toEqual(["Night runs!", false]);
    view.value = { ...(view.value as View), search: "loss", full: "lr" };
    expect(shelf.modified.value).toBe(true);
    await shelf.save();
    expect([shelf.modified.value, shelf.error.value]).toEqual([false, null]);
    const id = (view.value as View).saved ?? "";
    view.value = DEFAULT_VIEW;
    await shelf.open(id);
    expect(view.value).toEqual({ ...DEFAULT_VIEW, scale: "log", search: "loss", saved: id });
  });

  it("are not overwritten when somebody else has changed them meanwhile", async () => {
    await shelf.saveAs("shared");
    const id = (view.value as View).saved ?? "";
    const theirs = { ...(stored.get(id) as Stored), edit_tag: "theirs" };
    stored.set(id, theirs);
    view.value = { ...(view.value as View), scale: "linear" };
    await shelf.save();
    expect(shelf.error.value).toBe("somebody was faster");
    expect(stored.get(id)).toBe(theirs);
  });

  it("of a newer form change nothing that is shown", async () => {
    const before = view.value;
    stored.set("x", {
      id: "x",
      name: "x",
      changed_us: 1,
      edit_tag: "t",
      content: { schema: 9, kind: "atlas", query: "q=1" },
    });
    await shelf.open("x");
    expect(shelf.error.value).toContain("atlas");
    expect(view.value).toBe(before);
  });

  it("are deleted, and listed without those", async () => {
    await shelf.saveAs("a");
    await shelf.drop((view.value as View).saved ?? "");
    expect([shelf.views.value, shelf.name.value, stored.size]).toEqual([[], null, 0]);
  });

  it("have ids that addresses and the server take, whatever their name", () => {
    expect(newId("Night runs!", "k3")).toBe("night-runs-k3");
    expect(newId("数字", "k3")).toBe("view-k3");
    expect(newId("x".repeat(300), "k3").length).toBeLessThan(64);
  });

  it("say nothing of the panel in full screen or of themselves", () => {
    const text = keptText({ ...DEFAULT_VIEW, full: "lr", saved: "a", unknown: [["later", "1"]] });
    expect(text).toBe("later=1");
    expect(decodeView(new URLSearchParams(text)).unknown).toEqual([["later", "1"]]);
  });
});
