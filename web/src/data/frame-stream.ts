/**
 * Frames of an answer that is still coming: the first panel is drawn while the server works on the last. Each frame
 * gets a buffer of its own, so that what is kept of one keeps nothing of the others.
 */
import { align8, decodeFrame, type Frame, FrameError, frameBytes, HEADER_BYTES } from "./frames.ts";

/** What has come and is not yet read. */
class Waiting {
  private chunks: Uint8Array[] = [];
  bytes = 0;

  add(chunk: Uint8Array): void {
    this.chunks.push(chunk);
    this.bytes += chunk.byteLength;
  }

  /** The first bytes, which stay; null while there are fewer. */
  peek(bytes: number): DataView | null {
    if (this.bytes < bytes) return null;
    if ((this.chunks[0]?.byteLength ?? 0) < bytes) this.chunks = [this.copy(this.bytes)];
    const first = this.chunks[0] as Uint8Array;
    return new DataView(first.buffer, first.byteOffset, bytes);
  }

  /** Takes the first bytes away, as a copy. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    const taken = this.copy(bytes);
    let left = bytes;
    while (left > 0) {
      const first = this.chunks.shift() as Uint8Array;
      if (first.byteLength > left) this.chunks.unshift(first.subarray(left));
      left -= Math.min(left, first.byteLength);
    }
    this.bytes -= bytes;
    return taken;
  }

  private copy(bytes: number): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(bytes);
    let at = 0;
    for (const chunk of this.chunks) {
      if (at >= bytes) break;
      copy.set(chunk.subarray(0, bytes - at), at);
      at += chunk.byteLength;
    }
    return copy;
  }
}

/** Reads each frame as soon as it is complete; a FrameError says where in the answer it makes no sense. */
export async function* streamFrames(body: ReadableStream<Uint8Array>): AsyncGenerator<Frame, void> {
  const waiting = new Waiting();
  const reader = body.getReader();
  let at = 0;
  for (;;) {
    const header = waiting.peek(HEADER_BYTES);
    const bytes = header === null ? null : frameBytes(header, 0);
    if (bytes === 0) return;
    if (bytes !== null && waiting.bytes >= align8(bytes)) {
      at += align8(bytes);
      yield decodeFrame(new DataView(waiting.take(align8(bytes)).buffer), 0, bytes);
      continue;
    }
    const { value, done } = await reader.read();
    if (done) throw new FrameError("the answer stops before its end mark", at + waiting.bytes);
    waiting.add(value);
  }
}
