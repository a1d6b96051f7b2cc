/**
 * A heat map on a canvas with a cell under the pointer or the keyboard. No framework in here; the owner calls `update`
 * and `destroy`, and says in words what the cell is.
 */
import { mix } from "./colour.ts";
import type { Cells } from "./heat.ts";

export interface HeatPicture {
  readonly rows: readonly Cells[];
  readonly columns: number;
  /** Which of a cell's values its colour stands for. */
  readonly shown: keyof Cells;
  readonly scale: readonly [number, number];
  /** From the lowest to the highest, as the browser resolves them. */
  readonly ramp: readonly string[];
  /** Of places where nothing was measured. */
  readonly nothing: string;
  readonly rowHeight: number;
}

export interface HeatOptions {
  /** What the cell is, in words. */
  readonly tell: (row: number, column: number) => string;
  /** The keyboard has moved to this. */
  readonly said: (text: string) => void;
}

const SHADES = 64;

/** The colour of a value; below and above the scale those of its ends. */
export function shadeOf(
  v: number,
  [low, high]: readonly [number, number],
  shades: readonly string[],
): string {
  const share = high > low ? (v - low) / (high - low) : 0.5;
  const at = Math.round(Math.min(1, Math.max(0, share)) * (shades.length - 1));
  return shades[at] ?? "";
}

/** The ramp in finer steps. */
export function shadesOf(ramp: readonly string[]): string[] {
  return Array.from({ length: SHADES }, (_, i) => {
    const place = (i / (SHADES - 1)) * (ramp.length - 1);
    const at = Math.min(ramp.length - 2, Math.floor(place));
    return mix(ramp[at] ?? "", ramp[at + 1] ?? "", place - at);
  });
}

export class HeatMap {
  private readonly canvas = document.createElement("canvas");
  private readonly cursor = document.createElement("div");
  private readonly tip = document.createElement("div");
  private readonly resize: ResizeObserver;
  private picture: HeatPicture | null = null;
  private at: { row: number; column: number } | null = null;

  private readonly host: HTMLElement;
  private readonly options: HeatOptions;

  /** `host` is the focusable element that the map fills; the two classes are of the cell's frame and its words. */
  constructor(host: HTMLElement, options: HeatOptions, classes: { cursor: string; tip: string }) {
    this.host = host;
    this.options = options;
    this.cursor.className = classes.cursor;
    this.tip.className = classes.tip;
    for (const part of [this.cursor, this.tip, this.canvas]) part.setAttribute("aria-hidden", "true");
    host.append(this.canvas, this.cursor, this.tip);
    this.show(null);
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(host);
    host.addEventListener("pointermove", this.onPointer);
    host.addEventListener("pointerleave", this.onLeave);
    host.addEventListener("keydown", this.onKey);
    host.addEventListener("blur", this.onLeave);
  }

  update(picture: HeatPicture): void {
    this.picture = picture;
    this.host.style.height = `${picture.rows.length * picture.rowHeight}px`;
    this.draw();
    if (this.at !== null) this.show(this.at);
  }

  destroy(): void {
    this.resize.disconnect();
    this.host.removeEventListener("pointermove", this.onPointer);
    this.host.removeEventListener("pointerleave", this.onLeave);
    this.host.removeEventListener("keydown", this.onKey);
    this.host.removeEventListener("blur", this.onLeave);
    this.host.replaceChildren();
  }

  private draw(): void {
    const { picture, canvas, host } = this;
    if (picture === null) return;
    const { rows, columns, rowHeight, scale, shown } = picture;
    const [width, height] = [host.clientWidth, rows.length * rowHeight];
    const ratio = devicePixelRatio;
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.max(1, Math.round(height * ratio));
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const c = canvas.getContext("2d");
    if (c === null) return;
    const shades = shadesOf(picture.ramp);
    const gap = rowHeight >= 8 ? ratio : 0;
    c.fillStyle = picture.nothing;
    rows.forEach((row, i) => {
      const [top, bottom] = [Math.round(i * rowHeight * ratio), Math.round((i + 1) * rowHeight * ratio)];
      for (let column = 0; column < columns; column++) {
        const value = row[shown][column] as number;
        const left = Math.round((column / columns) * canvas.width);
        const right = Math.round(((column + 1) / columns) * canvas.width);
        if (Number.isNaN(value)) {
          // A hairline in the middle: there is a device, and it said nothing.
          c.fillStyle = picture.nothing;
          c.fillRect(left, Math.round((top + bottom) / 2), right - left, Math.max(1, Math.round(ratio)));
        } else {
          c.fillStyle = shadeOf(value, scale, shades);
          c.fillRect(left, top, right - left, bottom - top - gap);
        }
      }
    });
  }

  private readonly onPointer = (event: PointerEvent): void => {
    const { picture } = this;
    if (picture === null) return;
    const box = this.host.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / picture.rowHeight);
    const column = Math.floor(((event.clientX - box.left) / box.width) * picture.columns);
    this.show(this.inside(row, column) ? { row, column } : null);
  };

  private readonly onLeave = (): void => this.show(null);

  private readonly onKey = (event: KeyboardEvent): void => {
    const { picture } = this;
    if (picture === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const far = event.shiftKey ? 10 : 1;
    const moves: Record<string, readonly [number, number]> = {
      ArrowLeft: [0, -far],
      ArrowRight: [0, far],
      ArrowUp: [-far, 0],
      ArrowDown: [far, 0],
      Home: [0, -Infinity],
      End: [0, Infinity],
    };
    const move = moves[event.key];
    if (event.key === "Escape" && this.at !== null) this.show(null);
    else if (move === undefined) return;
    else {
      const now = this.at ?? { row: 0, column: picture.columns - 1 };
      const held = (v: number, count: number): number => Math.min(count - 1, Math.max(0, v));
      const [down, right] = this.at === null ? [0, 0] : move;
      this.show({
        row: held(now.row + down, picture.rows.length),
        column: held(now.column + right, picture.columns),
      });
      if (this.at !== null) this.options.said(this.options.tell(this.at.row, this.at.column));
    }
    event.preventDefault();
    event.stopPropagation();
  };

  private inside(row: number, column: number): boolean {
    const { picture } = this;
    return (
      picture !== null && row >= 0 && column >= 0 && row < picture.rows.length && column < picture.columns
    );
  }

  /** Frames a cell and says what it is; null = none. */
  private show(at: { row: number; column: number } | null): void {
    const { picture, cursor, tip } = this;
    this.at = at !== null && this.inside(at.row, at.column) ? at : null;
    cursor.hidden = this.at === null;
    tip.hidden = this.at === null;
    if (this.at === null || picture === null) return;
    const { row, column } = this.at;
    const width = this.host.clientWidth;
    const [left, top] = [(column / picture.columns) * width, row * picture.rowHeight];
    cursor.style.transform = `translate(${left}px, ${top}px)`;
    cursor.style.width = `${Math.max(3, width / picture.columns)}px`;
    cursor.style.height = `${picture.rowHeight}px`;
    tip.textContent = this.options.tell(row, column);
    const beside = left > width / 2 ? left - tip.offsetWidth - 12 : left + width / picture.columns + 12;
    tip.style.transform = `translate(${Math.max(0, beside)}px, ${Math.max(0, top - 28)}px)`;
  }
}
