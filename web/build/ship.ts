/**
 * Vite plug-in for what ships inside the wheel: precompresses every text file to .br and .gz, and refuses a
 * build whose JavaScript or style for the first paint is over budget. The server picks by Accept-Encoding and
 * never compresses by itself.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** Not the page itself: the server writes the base path into it. */
const TEXT = /\.(js|css|svg|json)$/;
/** Bytes after gzip that a browser may have to load before it paints the first page. */
const BUDGET_BYTES = { js: 100_000, css: 15_000, woff2: 55_000 };

/** Writes `file.br` and `file.gz` beside a file; returns its size after gzip. */
function precompress(path: string): number {
  const raw = readFileSync(path);
  const gz = gzipSync(raw, { level: 9 });
  writeFileSync(`${path}.gz`, gz);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length };
  writeFileSync(`${path}.br`, brotliCompressSync(raw, { params }));
  return gz.length;
}

interface Chunk {
  readonly isEntry: boolean;
  readonly imports: readonly string[];
  readonly dynamicImports: readonly string[];
}

/** A file and all that it cannot run without. */
function withImports(
  name: string,
  chunks: ReadonlyMap<string, Chunk>,
  found = new Set<string>(),
): Set<string> {
  if (found.has(name)) return found;
  found.add(name);
  for (const other of chunks.get(name)?.imports ?? []) withImports(other, chunks, found);
  return found;
}

/** The files of the page that needs the most: the entry, and the page's own part where that is fetched by itself. */
export function largestPage(chunks: ReadonlyMap<string, Chunk>, size: (name: string) => number): number {
  const sum = (names: ReadonlySet<string>): number =>
    [...names].reduce((total, name) => total + size(name), 0);
  const entries = [...chunks].filter(([, { isEntry }]) => isEntry).map(([name]) => name);
  const first = new Set(entries.flatMap((name) => [...withImports(name, chunks)]));
  const parts = [...first].flatMap((name) => chunks.get(name)?.dynamicImports ?? []);
  return Math.max(sum(first), ...parts.map((part) => sum(withImports(part, chunks, new Set(first)))));
}

/** The plug-in; `firstPaint` tells whether a file name is needed before the first paint. */
export function ship(firstPaint: (name: string) => boolean): Plugin {
  return {
    name: "buoy-ship",
    apply: "build",
    writeBundle(options, bundle) {
      const dir = options.dir ?? ".";
      const total = { js: 0, css: 0, woff2: 0 };
      const sizes = new Map<string, number>();
      const chunks = new Map<string, Chunk>();
      for (const [name, file] of Object.entries(bundle)) {
        const path = join(dir, name);
        const size = TEXT.test(name) ? precompress(path) : readFileSync(path).length;
        sizes.set(name, size);
        if (file.type === "chunk") chunks.set(name, file);
        const kind = name.split(".").pop() as keyof typeof total;
        if (kind !== "js" && kind in total && firstPaint(name)) total[kind] += size;
      }
      total.js = largestPage(chunks, (name) => sizes.get(name) ?? 0);
      for (const [kind, bytes] of Object.entries(total)) {
        const limit = BUDGET_BYTES[kind as keyof typeof BUDGET_BYTES];
        this.info(`first paint ${kind}: ${(bytes / 1000).toFixed(1)} kB of ${limit / 1000} kB`);
        if (bytes > limit) this.error(`first paint ${kind} is ${bytes} bytes, over the budget of ${limit}`);
      }
    },
  };
}
