/**
 * What two texts have in common, and what only one of them has: by lines, or by words where there is one line. By
 * the longest common subsequence of what lies between the common beginning and end; texts that are too long for
 * that differ as a whole there, which is still true.
 */

export interface Piece {
  readonly kind: "both" | "before" | "after";
  readonly text: string;
}

/** Cells of the table of common subsequences at most: a few megabytes, some milliseconds. */
const CELLS_MAX = 4_000_000;

export function diff(before: string, after: string): Piece[] {
  const cut = `${before}${after}`.includes("\n") ? /(?<=\n)/ : /(?<=\s)(?=\S)|(?=\s)(?<=\S)/;
  const [a, b] = [before.split(cut), after.split(cut)];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const middle = between(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  const common = (parts: readonly string[]): Piece[] => parts.map((text) => ({ kind: "both", text }));
  return joined([...common(a.slice(0, head)), ...middle, ...common(a.slice(a.length - tail))]);
}

function between(a: readonly string[], b: readonly string[]): Piece[] {
  const only = (kind: Piece["kind"], parts: readonly string[]): Piece[] =>
    parts.map((text) => ({ kind, text }));
  if ((a.length + 1) * (b.length + 1) > CELLS_MAX) return [...only("before", a), ...only("after", b)];
  // length[i][j]: the longest common subsequence of what follows a[i] and b[j].
  const width = b.length + 1;
  const length = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number): number => length[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      length[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const pieces: Piece[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      pieces.push({ kind: "both", text: a[i] ?? "" });
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) {
      pieces.push({ kind: "before", text: a[i] ?? "" });
      i += 1;
    } else {
      pieces.push({ kind: "after", text: b[j] ?? "" });
      j += 1;
    }
  }
  return pieces;
}

/** Neighbours of one kind as one piece. */
function joined(pieces: readonly Piece[]): Piece[] {
  const found: Piece[] = [];
  for (const piece of pieces) {
    const last = found.at(-1);
    if (piece.text === "") continue;
    if (last?.kind === piece.kind) found[found.length - 1] = { ...last, text: last.text + piece.text };
    else found.push(piece);
  }
  return found;
}
