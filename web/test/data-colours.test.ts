// @vitest-environment node
/** Recomputes from tokens.css how far apart the colours of runs are, for every kind of colour vision. */
import { describe, expect, it } from "vitest";
import { COLOURS, DASHES } from "../src/state/slots.ts";
import { closest, contrast, dataColours, distance, rgb, token } from "./vision.ts";

const both = [0, 1] as const;
const weakest = (colours: readonly string[], back: string): number =>
  Math.min(...colours.map((colour) => contrast(rgb(colour), rgb(back))));

/** Palettes that others use, with the figures the design compares ours to: they check the method itself. */
const OTHERS: Readonly<Record<string, readonly [string, number, number]>> = {
  "Okabe-Ito": ["#E69F00 #56B4E9 #009E73 #F0E442 #0072B2 #D55E00 #CC79A7", 7.6, 1.3],
  "Tol bright": ["#4477AA #EE6677 #228833 #CCBB44 #66CCEE #AA3377 #BBBBBB", 3.3, 1.8],
  "Petroff 10": ["#3F90DA #FFA90E #BD1F01 #94A4A2 #832DB6 #A96B59 #E76300 #B9AC70 #717581 #92DADD", 6.1, 1.6],
  "Tableau 10": ["#4E79A7 #F28E2B #E15759 #76B7B2 #59A14F #EDC948 #B07AA1 #FF9DA7 #9C755F #BAB0AC", 0.7, 1.6],
};

describe("the colours of runs", () => {
  it("are as far apart as the design says, whoever looks", () => {
    expect(both.map((theme) => closest(dataColours(theme)).toFixed(1))).toEqual(["9.3", "12.4"]);
  });

  it("stand out from the page and from panels", () => {
    expect(weakest(dataColours(0), "#ffffff").toFixed(1)).toBe("3.3");
    expect(weakest(dataColours(1), token("paper", 1)).toFixed(1)).toBe("3.8");
    for (const theme of both)
      for (const back of ["paper", "surface"])
        expect(weakest(dataColours(theme), token(back, theme))).toBeGreaterThanOrEqual(3);
  });

  it("come in an order in which the first few differ most", () => {
    const worst = [2, 3, 4, 5, 6, 7, 8].map((n) =>
      Math.min(...both.map((theme) => closest(dataColours(theme).slice(0, n)))),
    );
    expect(worst.map((found) => Math.round(found))).toEqual([29, 14, 13, 12, 11, 10, 9]);
  });

  it("are used with four dash patterns before one comes back", () => {
    expect(DASHES).toEqual([[], [6, 3], [2, 2], [8, 3, 2, 3]]);
    expect(COLOURS * DASHES.length).toBe(32);
  });

  it("of a better and a worse value differ for everybody", () => {
    const found = both.map((theme) => distance(token("better", theme), token("worse", theme)).toFixed(1));
    expect(found).toEqual(["8.9", "7.0"]);
  });
});

describe("palettes of others", () => {
  it.each(Object.entries(OTHERS))("%s", (_name, [colours, apart, contrastOnWhite]) => {
    const list = colours.split(" ");
    expect(closest(list).toFixed(1)).toBe(apart.toFixed(1));
    expect(weakest(list, "#ffffff").toFixed(1)).toBe(contrastOnWhite.toFixed(1));
    expect(closest(list)).toBeLessThan(Math.min(...both.map((theme) => closest(dataColours(theme)))));
  });
});
