/** A second reading of the frame format, as an encoder written from its text alone: the decoder's opponent. */

export interface EntrySpec {
  run: string;
  key: string;
  rank?: number;
  kind: "unchanged" | "buckets" | "raw" | "absent" | "error" | "group" | "density";
  f64?: boolean;
  base?: number;
  first?: number;
  idx?: number[];
  columns?: Partial<Record<keyof typeof BITS, number[]>>;
  x?: number[];
  y?: number[];
  last?: [number, number, number];
  xRange?: [number, number];
  attempt?: number;
  flags?: number;
  count?: number;
  state?: [number, number];
  /** Columns of cells. */
  grid?: number[][];
}

const BITS = {
  ...{ n: 0, min: 1, max: 2, last: 3, mean: 4, first: 5, sumsq: 6, smooth: 7, segment: 8, std: 9, se: 10 },
  ...{ low: 24, high: 25, ranks: 26, bad: 27, bad_rank: 28 },
} as const;
const WHOLE = ["n", "segment", "low", "high", "ranks", "bad", "bad_rank"];
const KIND = { unchanged: 0, buckets: 1, raw: 2, absent: 3, error: 4, group: 5, density: 6 } as const;

const up8 = (n: number): number => Math.ceil(n / 8) * 8;

function padded(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(up8(bytes.length));
  out.set(bytes);
  return out;
}

const bytesOf = (a: Float32Array | Float64Array | Uint32Array | Uint16Array): Uint8Array =>
  padded(new Uint8Array(a.buffer));

function join(parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function payloadOf(entry: EntrySpec): { bytes: Uint8Array; mask: number; rows: number } {
  if (entry.kind === "raw") {
    const x = Float64Array.from(entry.x ?? []);
    const parts = [bytesOf(x), bytesOf(Float64Array.from(entry.y ?? []))];
    const { smooth, segment } = entry.columns ?? {};
    if (smooth !== undefined) parts.push(bytesOf(Float64Array.from(smooth)));
    if (segment !== undefined) parts.push(bytesOf(Uint32Array.from(segment)));
    const mask = (smooth === undefined ? 0 : 128) + (segment === undefined ? 0 : 256);
    return { bytes: join(parts), mask, rows: x.length };
  }
  if (entry.kind === "density") {
    const grid = entry.grid ?? [];
    return { bytes: bytesOf(Uint16Array.from(grid.flat())), mask: grid[0]?.length ?? 0, rows: grid.length };
  }
  if (entry.kind !== "buckets" && entry.kind !== "group")
    return { bytes: new Uint8Array(0), mask: 0, rows: 0 };
  const parts: Uint8Array[] = [];
  let mask = entry.idx === undefined ? 0x80000000 : 0;
  if (entry.idx !== undefined) parts.push(bytesOf(Uint32Array.from(entry.idx)));
  let rows = 0;
  for (const name of Object.keys(BITS) as (keyof typeof BITS)[]) {
    const values = entry.columns?.[name];
    if (values === undefined) continue;
    rows = values.length;
    mask += 2 ** BITS[name];
    const less = values.map((v) => v - (entry.base ?? 0));
    if (WHOLE.includes(name)) parts.push(bytesOf(Uint32Array.from(values)));
    else parts.push(bytesOf(entry.f64 ? Float64Array.from(values) : Float32Array.from(less)));
  }
  return { bytes: join(parts), mask, rows };
}

export function encodeFrame(panel: number, exp: number, entries: EntrySpec[]): Uint8Array {
  const encoder = new TextEncoder();
  const strings: Uint8Array[] = [];
  let stringAt = 0;
  const string = (text: string): number => {
    const body = encoder.encode(text);
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, body.length, true);
    strings.push(size, body);
    const at = stringAt;
    stringAt += 4 + body.length;
    return at;
  };
  const directory = new DataView(new ArrayBuffer(entries.length * 128));
  const payloads: Uint8Array[] = [];
  let payloadAt = 0;
  entries.forEach((entry, i) => {
    const at = i * 128;
    const { bytes, mask, rows } = payloadOf(entry);
    directory.setUint32(at, string(entry.run), true);
    directory.setUint32(at + 4, string(entry.key), true);
    directory.setUint8(at + 8, KIND[entry.kind]);
    directory.setUint8(at + 9, entry.kind === "density" ? 2 : entry.f64 ? 1 : 0);
    directory.setUint8(at + 10, entry.flags ?? 0);
    directory.setUint8(
      at + 11,
      entry.kind === "density" ? 0 : (mask >>> 0).toString(2).slice(-31).replaceAll("0", "").length,
    );
    directory.setBigUint64(at + 16, 77n, true);
    directory.setBigInt64(at + 24, BigInt(entry.first ?? 0), true);
    directory.setUint32(at + 32, rows, true);
    directory.setUint32(at + 36, mask, true);
    directory.setUint32(at + 40, payloadAt, true);
    directory.setUint32(at + 44, entry.rank ?? 0, true);
    directory.setFloat64(at + 48, entry.base ?? 0, true);
    (entry.last ?? [0, 0, 0]).forEach((v, k) => {
      directory.setFloat64(at + 56 + 8 * k, v, true);
    });
    directory.setBigUint64(at + 80, 1000n, true);
    (entry.xRange ?? [0, 0]).forEach((v, k) => {
      directory.setFloat64(at + 88 + 8 * k, v, true);
    });
    directory.setUint32(at + 104, entry.attempt ?? 0, true);
    directory.setUint32(at + 108, entry.count ?? 0, true);
    (entry.state ?? [0, 0]).forEach((v, k) => {
      directory.setFloat64(at + 112 + 8 * k, v, true);
    });
    payloads.push(bytes);
    payloadAt += bytes.length;
  });
  const text = padded(join(strings));
  const header = new DataView(new ArrayBuffer(64));
  new Uint8Array(header.buffer).set(encoder.encode("BUOY"));
  header.setUint16(4, 1, true);
  header.setUint32(8, panel, true);
  header.setUint32(12, entries.length, true);
  header.setInt32(16, exp, true);
  header.setUint32(20, 64, true);
  header.setUint32(24, 64 + directory.byteLength, true);
  header.setUint32(28, 64 + directory.byteLength + text.length, true);
  header.setUint32(32, payloadAt, true);
  header.setBigUint64(40, 1234n, true);
  header.setBigUint64(48, 9n, true);
  return join([new Uint8Array(header.buffer), new Uint8Array(directory.buffer), text, ...payloads]);
}

/** The header that ends an answer. */
export function encodeEnd(): Uint8Array {
  const header = new Uint8Array(64);
  header.set(new TextEncoder().encode("BUOY"));
  new DataView(header.buffer).setUint16(4, 1, true);
  new DataView(header.buffer).setUint16(6, 0x8000, true);
  return header;
}

export function stream(...frames: Uint8Array[]): ArrayBuffer {
  return join([...frames, encodeEnd()]).buffer as ArrayBuffer;
}
