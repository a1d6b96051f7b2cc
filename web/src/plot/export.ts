/**
 * Copies of a chart as it is shown. The SVG is drawn by the same code as the canvas, on a context that writes paths
 * down instead of painting them, so the two cannot differ.
 */
import { keyOfX, type Range, type XKind } from "../data/types.ts";
import * as format from "../format.ts";
import type { Picture } from "./chart.ts";
import { shades } from "./draw/density.ts";
import { drawPlan } from "./draw/line.ts";
import type { Line } from "./plan.ts";
import { logTicks, mapping } from "./scale.ts";

const MARGIN = { left: 56, right: 16, top: 36, bottom: 32 };
const SIZE = { width: 960, height: 540 };
/** Names in the legend at most; the others are counted. */
const LEGEND_MAX = 20;
const LEGEND_ROW = 16;

/** Text for XML, in content and in attributes. */
export function escaped(text: string): string {
  const plain = [...text].filter((c) => c >= " " || c === "\t" || c === "\n").join("");
  return plain
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** The part of a 2D context that `drawPlan` uses; strokes and fills become elements. */
class PathWriter {
  readonly elements: string[] = [];
  private shade = "#000";
  private cells: string[] = [];
  strokeStyle = "#000";
  lineWidth = 1;
  lineJoin = "round";
  globalAlpha = 1;
  get fillStyle(): string {
    return this.shade;
  }
  set fillStyle(colour: string) {
    if (colour !== this.shade) this.flush();
    this.shade = colour;
  }
  private path: string[] = [];
  private dash: readonly number[] = [];

  beginPath(): void {
    this.path = [];
  }
  moveTo(x: number, y: number): void {
    this.path.push(`M${short(x)} ${short(y)}`);
  }
  lineTo(x: number, y: number): void {
    this.path.push(`${this.path.length === 0 ? "M" : "L"}${short(x)} ${short(y)}`);
  }
  /** Rectangles of one colour are one element. */
  fillRect(x: number, y: number, width: number, height: number): void {
    this.cells.push(`M${short(x)} ${short(y)}h${short(width)}v${short(height)}h${short(-width)}z`);
  }
  flush(): void {
    if (this.cells.length > 0) this.elements.push(`<path d="${this.cells.join("")}" fill="${this.shade}"/>`);
    this.cells = [];
  }
  arc(x: number, y: number, r: number): void {
    const across = `a${short(r)} ${short(r)} 0 1 1`;
    this.path.push(`M${short(x - r)} ${short(y)}${across} ${short(2 * r)} 0${across} ${short(-2 * r)} 0`);
  }
  setLineDash(dash: readonly number[]): void {
    this.dash = dash;
  }
  stroke(): void {
    this.flush();
    const dash = this.dash.length === 0 ? "" : ` stroke-dasharray="${this.dash.join(" ")}"`;
    this.element(`fill="none" stroke="${this.strokeStyle}" stroke-width="${short(this.lineWidth)}"${dash}`);
  }
  fill(): void {
    this.element(`fill="${this.fillStyle}"`);
  }
  save(): void {}
  restore(): void {}
  rect(): void {}
  clip(): void {
    this.path = [];
  }

  private element(style: string): void {
    if (this.path.length === 0) return;
    const alpha = this.globalAlpha === 1 ? "" : ` opacity="${this.globalAlpha}"`;
    this.elements.push(`<path d="${this.path.join("")}" ${style}${alpha} stroke-linejoin="round"/>`);
  }
}

const short = (v: number): string => String(Math.round(v * 100) / 100);

interface Scales {
  readonly x: (v: number) => number;
  readonly y: (v: number) => number;
}

function scales({ view, yRange, y, options }: Picture): Scales {
  const width = SIZE.width - MARGIN.left - MARGIN.right;
  const height = SIZE.height - MARGIN.top - MARGIN.bottom;
  const along = mapping(options.logX ? "log" : "linear", 1).forward;
  const place = (of: (v: number) => number, [from, to]: Range, v: number): number =>
    (of(v) - of(from)) / (of(to) - of(from));
  return {
    x: (v) => MARGIN.left + place(along, view, v) * width,
    y: (v) => MARGIN.top + (1 - place(y.forward, yRange, v)) * height,
  };
}

const tickText = (v: number, x: XKind): string =>
  x === "step" && Number.isInteger(v)
    ? format.count(v)
    : keyOfX(x) !== null
      ? format.number(v)
      : format.position(v, x);

/** A chart as an SVG document with its title, axes and legend. `nameOf` says what each line is called. */
export function svgOf(picture: Picture, title: string, nameOf: (line: Line) => string): string {
  const { plan, view, options } = picture;
  const { colours, scale, x } = options;
  const to = scales(picture);
  const strokes = options.strokes(plan);
  const paths = new PathWriter();
  drawPlan(plan, {
    // The writer has all of a context that drawing a plan needs.
    context: paths as unknown as CanvasRenderingContext2D,
    toX: to.x,
    toY: to.y,
    ratio: 1,
    left: MARGIN.left,
    top: MARGIN.top,
    width: SIZE.width - MARGIN.left - MARGIN.right,
    height: SIZE.height - MARGIN.top - MARGIN.bottom,
    strokes,
    halo: colours.paper,
    positive: scale === "log",
    raw: options.raw ?? true,
    shades: shades(colours.paper, colours.data[5] ?? colours.ink),
  });
  paths.flush();
  const legend = plan.lines.slice(0, LEGEND_MAX).map((line, i) => {
    const y = SIZE.height + 8 + i * LEGEND_ROW;
    const stroke = strokes[i];
    return (
      `<path d="M${MARGIN.left} ${y}h24" stroke="${stroke?.colour}" stroke-width="2" stroke-dasharray="${stroke?.dash.join(" ") || "none"}"/>` +
      `<text x="${MARGIN.left + 32}" y="${y + 4}">${escaped(nameOf(line))}</text>`
    );
  });
  const more = plan.lines.length - legend.length;
  if (more > 0)
    legend.push(
      `<text x="${MARGIN.left + 32}" y="${SIZE.height + 12 + legend.length * LEGEND_ROW}">+ ${more}</text>`,
    );
  const height = SIZE.height + 8 + legend.length * LEGEND_ROW;
  const right = SIZE.width - MARGIN.right;
  const yAxis = picture.yTicks.map((v) => {
    const y = short(to.y(v));
    return (
      `<path d="M${MARGIN.left} ${y}H${right}" stroke="${colours.hair}"/>` +
      `<text x="${MARGIN.left - 6}" y="${Number(y) + 4}" text-anchor="end">${escaped(format.number(v))}</text>`
    );
  });
  const xAxis = (options.logX ? logTicks(view[0], view[1]) : format.niceTicks(view[0], view[1], 8)).map(
    (v) =>
      `<text x="${short(to.x(v))}" y="${SIZE.height - MARGIN.bottom + 18}" text-anchor="middle">${escaped(tickText(v, x))}</text>`,
  );
  const box = `x="${MARGIN.left}" y="${MARGIN.top}" width="${right - MARGIN.left}" height="${SIZE.height - MARGIN.top - MARGIN.bottom}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE.width}" height="${height}" viewBox="0 0 ${SIZE.width} ${height}" font-family="sans-serif" font-size="12" fill="${colours.ink3}">`,
    `<rect width="${SIZE.width}" height="${height}" fill="${colours.paper}"/>`,
    `<text x="${MARGIN.left}" y="20" font-size="15" fill="${colours.ink}">${escaped(title)}</text>`,
    ...yAxis,
    `<path d="M${MARGIN.left} ${SIZE.height - MARGIN.bottom}H${right}" stroke="${colours.rule}"/>`,
    ...xAxis,
    `<clipPath id="plot"><rect ${box}/></clipPath><g clip-path="url(#plot)">`,
    ...paths.elements,
    "</g>",
    ...legend,
    "</svg>",
  ].join("\n");
}

/** A field of a CSV file: quoted where it has to be, and never a formula for the program that opens it. */
export function csvField(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** What is drawn, one line a vertex: buckets with their extent and number of points. */
export function csvOf({ plan, view, options }: Picture, key: string, nameOf: (line: Line) => string): string {
  const smoothed = plan.lines.some((line) => line.raw !== null);
  const names = ["run", "name", "rank", "key", csvField(options.x), "value", "min", "max", "n"];
  const rows = [[...names, ...(smoothed ? ["smooth"] : [])].join(",")];
  for (const line of plan.lines) {
    const start = [csvField(line.run), csvField(nameOf(line)), line.rank, csvField(key)].join(",");
    for (let i = 0; i < line.x.length; i++) {
      const x = line.x[i] as number;
      if (x < view[0] || x > view[1]) continue;
      const y = (line.raw ?? line.y)[i] as number;
      const { band } = line;
      const n = band?.votes?.n[i] ?? band?.n?.[i] ?? 1;
      const smooth = smoothed ? [line.raw === null ? "" : line.y[i]] : [];
      rows.push([start, x, y, band?.low[i] ?? y, band?.high[i] ?? y, n, ...smooth].join(","));
    }
  }
  return `${rows.join("\r\n")}\r\n`;
}

/** Hands a file to the browser. */
export function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name.replace(/[^\p{L}\p{N}._-]+/gu, "_");
  // Not followed as a link of the page: it has a `download`.
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** The same as the SVG, in pixels: what a browser makes of it. */
export function savePng(name: string, svg: string, ratio = 2): void {
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = image.width * ratio;
    canvas.height = image.height * ratio;
    const context = canvas.getContext("2d");
    context?.scale(ratio, ratio);
    context?.drawImage(image, 0, 0);
    canvas.toBlob((blob) => {
      if (blob !== null) save(name, blob);
    }, "image/png");
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
}
