import { describe, expect, it } from "vitest";
import { byPrefix, bySubsystem, inView, layoutGrid } from "../src/ui/grid-layout.ts";

const metrics = { width: 1000, panelMin: 320, panelHeight: 248, headHeight: 44, gutter: 24 };

describe("sections", () => {
  it("go by the first prefix, keys without one first, numbers in counting order", () => {
    const keys = ["val/loss", "train/loss", "layers/10/grad", "layers/9/grad", "lr", "/odd"];
    expect(byPrefix(keys, "Charts")).toEqual([
      { name: "Charts", keys: ["/odd", "lr"] },
      { name: "layers", keys: ["layers/9/grad", "layers/10/grad"] },
      { name: "train", keys: ["train/loss"] },
      { name: "val", keys: ["val/loss"] },
    ]);
  });

  it("of system metrics go by subsystem, accelerators first", () => {
    const keys = ["system.network.sent", "system.cpu", "gpu.0.temp", "system.proc.memory.rssMB", "power"];
    const names = { accelerator: "A", processor: "P", network: "N", other: "O" };
    expect(bySubsystem(keys, names).map((s) => [s.name, s.keys.length])).toEqual([
      ["A", 1],
      ["P", 2],
      ["N", 1],
      ["O", 1],
    ]);
  });
});

describe("grid", () => {
  const sections = byPrefix(
    Array.from({ length: 20_000 }, (_, i) => `layer/${i}`),
    "Charts",
  );

  it("fills the width with whole panels", () => {
    const layout = layoutGrid(byPrefix(["a", "b", "c"], "C"), new Set(), metrics);
    const panels = layout.items.filter((item) => item.kind === "panel");
    expect(panels.map((p) => [p.left, p.top])).toEqual([
      [0, 44],
      [512, 44],
      [0, 316],
    ]);
    expect(panels[0]?.width).toBe(488);
    expect(layout.height).toBe(44 + 2 * (248 + 24));
  });

  it("has one column on a phone", () => {
    const layout = layoutGrid(byPrefix(["a", "b"], "C"), new Set(), {
      ...metrics,
      width: 300,
      panelMin: 300,
    });
    expect(layout.items.map((item) => item.top)).toEqual([0, 44, 316]);
  });

  it("mounts what is near the viewport only, of 20 000 panels", () => {
    const layout = layoutGrid(sections, new Set(), metrics);
    const seen = inView(layout, 100_000, 100_900);
    expect(seen.length).toBeLessThan(14);
    expect(seen.every((item) => item.top <= 100_900 && item.top + item.height >= 100_000)).toBe(true);
  });

  it("folds a section to its head", () => {
    expect(layoutGrid(sections, new Set(["layer"]), metrics).height).toBe(44);
  });
});
