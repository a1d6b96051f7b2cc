/** Colours for canvases: the tokens of the page as the browser resolves them, and the shades of ranks. */

export interface ChartColours {
  readonly surface: string;
  readonly paper: string;
  readonly ink: string;
  readonly ink3: string;
  readonly rule: string;
  readonly hair: string;
  readonly link: string;
  readonly font: string;
  readonly data: readonly string[];
  /** Sequential, from few to many. */
  readonly ramp: readonly string[];
}

type Rgb = readonly [number, number, number];

/** Reads `rgb(1, 2, 3)` as a browser writes a computed colour. */
export function parseRgb(text: string): Rgb {
  const [r = 0, g = 0, b = 0] = (text.match(/[\d.]+/g) ?? []).map(Number);
  return [r, g, b];
}

/** Moves `colour` towards `target` by `share` (0 to 1), in sRGB. */
export function mix(colour: string, target: string, share: number): string {
  const to = parseRgb(target);
  const mixed = parseRgb(colour).map((v, i) => Math.round(v + ((to[i] as number) - v) * share));
  return `rgb(${mixed.join(", ")})`;
}

/**
 * Colour of the `index`-th of `count` ranks of one run: the run's hue, moved towards ink. Contrast against the
 * paper only grows that way, in both themes.
 */
export function rankColour(base: string, ink: string, index: number, count: number): string {
  return count < 2 || index === 0 ? base : mix(base, ink, 0.55 * (index / (count - 1)));
}

/** Resolves the tokens for the theme that is on now. `host` must be in the document. */
export function readColours(host: HTMLElement): ChartColours {
  const probe = document.createElement("span");
  probe.hidden = true;
  host.append(probe);
  const token = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const colours: ChartColours = {
    surface: token("surface"),
    paper: token("paper"),
    ink: token("ink"),
    ink3: token("ink-3"),
    rule: token("rule"),
    hair: token("hair"),
    link: token("link"),
    font: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
    data: [1, 2, 3, 4, 5, 6, 7, 8].map((i) => token(`data-${i}`)),
    ramp: [1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => token(`seq-${i}`)),
  };
  probe.remove();
  return colours;
}
