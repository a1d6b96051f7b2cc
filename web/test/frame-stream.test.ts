// @vitest-environment node
/** Frames that come in pieces: the same as from one buffer, and each as soon as it can be. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { streamFrames } from "../src/data/frame-stream.ts";
import { decodeFrames, type Frame, FrameError } from "../src/data/frames.ts";
import { encodeFrame, stream } from "./encode-frames.ts";

const golden = fileURLToPath(new URL("../../tests/golden/", import.meta.url));
const files = readdirSync(golden).filter((name) => /^frames_.*\.bin$/.test(name));

/** An answer that comes in pieces of `size` bytes. */
function inPieces(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(to) {
      if (at >= bytes.byteLength) to.close();
      else to.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}

async function all(frames: AsyncIterable<Frame>): Promise<Frame[]> {
  const found: Frame[] = [];
  for await (const frame of frames) found.push(frame);
  return found;
}

describe("frames that come in pieces", () => {
  it.each(files.flatMap((name) => [1, 7, 64, 65, 1000, 1e6].map((size) => [name, size] as const)))(
    "%s, %d bytes at a time",
    async (name, size) => {
      const bytes = Uint8Array.from(readFileSync(golden + name));
      expect(await all(streamFrames(inPieces(bytes, size)))).toEqual(decodeFrames(bytes.buffer));
    },
  );

  it("are there before those behind them, and keep nothing of them", async () => {
    const one = encodeFrame(1, 0, [{ run: "a", key: "k", kind: "raw", x: [1], y: [2] }]);
    const two = encodeFrame(2, 0, [{ run: "a", key: "k", kind: "raw", x: [1, 2, 3], y: [2, 3, 4] }]);
    const whole = new Uint8Array(stream(one, two));
    let send: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(to) {
        send = to;
      },
    });
    const frames = streamFrames(body);
    send?.enqueue(whole.slice(0, one.byteLength + 10));
    const first = (await frames.next()).value as Frame;
    expect(first.panel).toBe(1);
    const [series] = first.series;
    expect(series?.kind === "raw" && series.y.buffer.byteLength).toBeLessThanOrEqual(one.byteLength + 8);
    send?.enqueue(whole.slice(one.byteLength + 10));
    expect(((await frames.next()).value as Frame).panel).toBe(2);
    expect((await frames.next()).done).toBe(true);
  });

  it("are an error where they stop before the end mark, wherever that is", async () => {
    const whole = new Uint8Array(
      stream(encodeFrame(1, 0, [{ run: "a", key: "b", kind: "raw", x: [1, 2], y: [3, 4] }])),
    );
    for (let size = 0; size < whole.byteLength; size += 3)
      await expect(all(streamFrames(inPieces(whole.slice(0, size), 50))), `cut at ${size}`).rejects.toThrow(
        FrameError,
      );
  });

  it("are an error where they are something else", async () => {
    const page = new TextEncoder().encode("<!doctype html>".repeat(9));
    await expect(all(streamFrames(inPieces(page, 40)))).rejects.toThrow(/no magic/);
  });
});
