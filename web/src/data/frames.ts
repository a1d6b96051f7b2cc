/**
 * Decoder of `application/vnd.buoy.frames; v=1` (docs/format.md): little endian, 8-byte aligned, columns are
 * views into the answer's buffer, nothing is copied. A frame answers one panel; an entry is one series.
 *
 *   frame := header(64) directory(n_entries × 128) strings payload
 *
 * Invariants: offsets in a header are relative to its frame, an entry's offset to the payload; strings are
 * u32 length + UTF-8. What does not fit throws FrameError with the byte position; nothing is drawn of it.
 */

export class FrameError extends Error {
  readonly offset: number;

  constructor(reason: string, offset: number) {
    super(`frames: ${reason} at byte ${offset}`);
    this.name = "FrameError";
    this.offset = offset;
  }
}

/**
 * Columns by their bit in an entry's mask; they lie in the payload in this order. A band over ranks says which rank
 * its extremes come from (`low`, `high`), how many ranks have a finite value (`ranks`), how many values are not
 * finite, and the lowest rank that has one (`bad`, `bad_rank`).
 */
const COLUMN_BITS = {
  n: 0,
  min: 1,
  max: 2,
  last: 3,
  mean: 4,
  first: 5,
  sumsq: 6,
  smooth: 7,
  segment: 8,
  std: 9,
  se: 10,
  low: 24,
  high: 25,
  ranks: 26,
  bad: 27,
  bad_rank: 28,
} as const;
export type ColumnName = keyof typeof COLUMN_BITS;
const WHOLE: ReadonlySet<string> = new Set(["n", "segment", "low", "high", "ranks", "bad", "bad_rank"]);
/** Stands for the rank of a series that is made of all of them. */
export const ALL_RANKS = 0xffffffff;

const MAGIC = 0x594f5542; // "BUOY", read as a little-endian u32
const VERSION = 1;
export const HEADER_BYTES = 64;
const ENTRY_BYTES = 128;
const FLAG_END = 0x8000;
/** In a column mask: bucket i is `first + i` and no index column is sent. */
const MASK_DENSE = 0x80000000;
const KINDS = ["unchanged", "buckets", "raw", "absent", "error", "group", "density"] as const;
const FLAGS = { sealed: 1, tail: 2 } as const;

/** A column's value i is `base + values[i]`. */
export interface Column {
  readonly base: number;
  readonly values: Float32Array | Float64Array | Uint32Array;
}

interface Entry {
  readonly run: string;
  readonly key: string;
  readonly rank: number;
  readonly rev: number;
  readonly gen: number;
  readonly sealed: boolean;
  readonly nTotal: number;
  /** The newest point, exact whatever the buckets are. `lastT` is in seconds since 1970. */
  readonly lastX: number;
  readonly lastY: number;
  readonly lastT: number;
  readonly xMin: number;
  readonly xMax: number;
  /** 0 for the run's curve; else what later attempts have superseded of that attempt, counted from 1. */
  readonly attempt: number;
  /** These rows replace what is held from the first one on; see tail.ts. */
  readonly tail: boolean;
  /** Of a group its runs, of a density its series; with a key as x the points whose x is of an earlier step. */
  readonly count: number;
  /** Where a smoothing stands left of the first row: weighted sum and weights. */
  readonly smoothState: readonly [number, number];
}

interface BucketRows {
  /** Bucket i covers [b·2^exp, (b+1)·2^exp) with b = first + idx[i], or first + i when idx is null (dense). */
  readonly exp: number;
  readonly first: number;
  readonly idx: Uint32Array | null;
  readonly rows: number;
  readonly columns: Readonly<Partial<Record<ColumnName, Column>>>;
}

export type Series = Entry &
  (
    | { readonly kind: "unchanged" | "absent" | "error" }
    | {
        readonly kind: "raw";
        readonly x: Float64Array;
        readonly y: Float64Array;
        readonly smooth: Float64Array | null;
        /** Number of the piece that each point is in, where x falls; null when there is one only. */
        readonly segment: Uint32Array | null;
      }
    | {
        readonly kind: "density";
        readonly exp: number;
        readonly first: number;
        /** Column i is bucket first + i; its cells, the lowest first, are counts[i * cells ...]. */
        readonly columns: number;
        readonly cells: number;
        readonly counts: Uint16Array;
        readonly yRange: readonly [number, number];
      }
    | (BucketRows & { readonly kind: "buckets" })
    /** Runs as one; `run` is the JSON list of what they have in common. Columns are over the runs. */
    | (BucketRows & { readonly kind: "group" })
  );

export interface Frame {
  readonly panel: number;
  readonly rev: number;
  readonly epoch: bigint;
  readonly exp: number;
  readonly series: readonly Series[];
}

// No bit operations: those have 32 bits, and a damaged length may have more.
export const align8 = (n: number): number => Math.ceil(n / 8) * 8;
const text = new TextDecoder();

/** Bytes of the frame whose header is at `at`, without what pads it; 0 for the end mark. */
export function frameBytes(view: DataView, at: number): number {
  if (view.getUint32(at, true) !== MAGIC) throw new FrameError("no magic", at);
  if (view.getUint16(at + 4, true) !== VERSION) throw new FrameError("an unknown version", at + 4);
  if (view.getUint16(at + 6, true) & FLAG_END) return 0;
  const bytes = view.getUint32(at + 28, true) + view.getUint32(at + 32, true);
  if (bytes < HEADER_BYTES) throw new FrameError("a frame is shorter than its header", at);
  return bytes;
}

/** Reads all frames of an answer. Unknown kinds of a newer server come as "absent": nothing is drawn of them. */
export function decodeFrames(buffer: ArrayBuffer): Frame[] {
  const view = new DataView(buffer);
  const frames: Frame[] = [];
  let at = 0;
  while (at < buffer.byteLength) {
    if (at + HEADER_BYTES > buffer.byteLength) throw new FrameError("a header is cut off", at);
    const bytes = frameBytes(view, at);
    if (bytes === 0) return frames;
    if (at + bytes > buffer.byteLength) throw new FrameError("a frame is cut off", at);
    frames.push(decodeFrame(view, at, at + bytes));
    at = align8(at + bytes);
  }
  throw new FrameError("the answer stops before its end mark", at);
}

export function decodeFrame(view: DataView, at: number, end: number): Frame {
  const exp = view.getInt32(at + 16, true);
  const directory = at + view.getUint32(at + 20, true);
  const strings = at + view.getUint32(at + 24, true);
  const payload = at + view.getUint32(at + 28, true);
  const n = view.getUint32(at + 12, true);
  if (directory + n * ENTRY_BYTES > end) throw new FrameError("the directory is cut off", directory);
  return {
    panel: view.getUint32(at + 8, true),
    exp,
    rev: Number(view.getBigUint64(at + 40, true)),
    epoch: view.getBigUint64(at + 48, true),
    series: Array.from({ length: n }, (_, i) =>
      decodeEntry(view, directory + i * ENTRY_BYTES, { strings, payload, end, exp }),
    ),
  };
}

interface Parts {
  readonly strings: number;
  readonly payload: number;
  readonly end: number;
  readonly exp: number;
}

function decodeEntry(view: DataView, at: number, parts: Parts): Series {
  const string = (offset: number): string => {
    const start = parts.strings + view.getUint32(offset, true);
    const size = start + 4 <= parts.end ? view.getUint32(start, true) : parts.end;
    if (start + 4 + size > parts.end) throw new FrameError("a name is cut off", start);
    return text.decode(new Uint8Array(view.buffer, start + 4, size));
  };
  const f64 = (offset: number): number => view.getFloat64(at + offset, true);
  const entry: Entry = {
    run: string(at),
    key: string(at + 4),
    sealed: (view.getUint8(at + 10) & FLAGS.sealed) !== 0,
    tail: (view.getUint8(at + 10) & FLAGS.tail) !== 0,
    gen: view.getInt32(at + 12, true),
    rev: Number(view.getBigUint64(at + 16, true)),
    rank: view.getUint32(at + 44, true),
    lastX: f64(56),
    lastY: f64(64),
    lastT: f64(72),
    nTotal: Number(view.getBigUint64(at + 80, true)),
    xMin: f64(88),
    xMax: f64(96),
    attempt: view.getUint32(at + 104, true),
    count: view.getUint32(at + 108, true),
    smoothState: [f64(112), f64(120)],
  };
  const kind = KINDS[view.getUint8(at + 8)] ?? "absent";
  const rows = view.getUint32(at + 32, true);
  const start = parts.payload + view.getUint32(at + 40, true);
  if (kind === "raw") return { ...entry, kind, ...rawColumns(view, at, start, rows, parts.end) };
  const first = Number(view.getBigInt64(at + 24, true));
  if (kind === "density") {
    const cells = view.getUint32(at + 36, true);
    const counts = column(view.buffer, Uint16Array, start, rows * cells, parts.end);
    const yRange = [f64(112), f64(120)] as const;
    return { ...entry, kind, exp: parts.exp, first, columns: rows, cells, counts, yRange };
  }
  if (kind !== "buckets" && kind !== "group") return { ...entry, kind };
  return { ...entry, kind, exp: parts.exp, first, rows, ...bucketColumns(view, at, start, rows, parts.end) };
}

type RawParts = Pick<Extract<Series, { kind: "raw" }>, "x" | "y" | "smooth" | "segment">;

function rawColumns(view: DataView, at: number, start: number, rows: number, end: number): RawParts {
  const mask = view.getUint32(at + 36, true);
  const place = (i: number): number => start + i * rows * 8;
  const numbers = (i: number): Float64Array => column(view.buffer, Float64Array, place(i), rows, end);
  const has = (name: ColumnName): boolean => (mask & (1 << COLUMN_BITS[name])) !== 0;
  return {
    x: numbers(0),
    y: numbers(1),
    smooth: has("smooth") ? numbers(2) : null,
    segment: has("segment")
      ? column(view.buffer, Uint32Array, place(has("smooth") ? 3 : 2), rows, end)
      : null,
  };
}

type BucketParts = Pick<BucketRows, "idx" | "columns">;

function bucketColumns(view: DataView, at: number, start: number, rows: number, end: number): BucketParts {
  const mask = view.getUint32(at + 36, true);
  const Values = view.getUint8(at + 9) === 0 ? Float32Array : Float64Array;
  const base = view.getUint8(at + 9) === 0 ? view.getFloat64(at + 48, true) : 0;
  let next = start;
  const take = <T extends View>(Type: ViewType<T>): T => {
    const taken = column(view.buffer, Type, next, rows, end);
    next = align8(next + rows * Type.BYTES_PER_ELEMENT);
    return taken;
  };
  const idx = mask & MASK_DENSE ? null : take(Uint32Array);
  const columns: Partial<Record<ColumnName, Column>> = {};
  for (const [name, bit] of Object.entries(COLUMN_BITS)) {
    if ((mask & (1 << bit)) === 0) continue;
    columns[name as ColumnName] = WHOLE.has(name)
      ? { base: 0, values: take(Uint32Array) }
      : { base, values: take<View>(Values) };
  }
  return { idx, columns };
}

type View = Float32Array | Float64Array | Uint32Array;
interface ViewType<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, offset: number, length: number): T;
}

function column<T>(buffer: ArrayBufferLike, Type: ViewType<T>, at: number, rows: number, end: number): T {
  if (at + rows * Type.BYTES_PER_ELEMENT > end) throw new FrameError("a column is cut off", at);
  if (at % Type.BYTES_PER_ELEMENT !== 0) throw new FrameError("a column is not aligned", at);
  return new Type(buffer, at, rows);
}
