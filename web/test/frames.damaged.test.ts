// @vitest-environment node
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { decodeFrames, FrameError } from "../src/data/frames.ts";

const golden = fileURLToPath(new URL("../../tests/golden/", import.meta.url));
const seeds = readdirSync(golden)
  .filter((name) => /^frames_.*\.bin$/.test(name))
  .map((name) => Uint8Array.from(readFileSync(golden + name)));
const EXTREMES = [0, 1, 7, 64, 127, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff];

function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new Error(`nothing at ${index}`);
  return found;
}

/** Numbers from 0 to `below` that are the same in every run. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
}

function damaged(seed: number): Uint8Array<ArrayBuffer> {
  const roll = dice(seed);
  let bytes = Uint8Array.from(at(seeds, roll(seeds.length)));
  for (let accident = 1 + roll(4); accident > 0 && bytes.length > 4; accident -= 1) {
    // Most of what can go wrong is in the first header and the first entry.
    const place = roll(roll(2) === 0 ? Math.min(bytes.length, 192) : bytes.length);
    const kind = roll(4);
    if (kind === 0) bytes[place] = roll(256);
    else if (kind === 1) bytes = bytes.slice(0, place);
    else if (kind === 2) bytes = Uint8Array.from([...bytes.slice(0, place), ...bytes]);
    else {
      const aligned = Math.min(place - (place % 4), bytes.length - 4);
      new DataView(bytes.buffer).setUint32(aligned, at(EXTREMES, roll(EXTREMES.length)), true);
    }
  }
  return bytes;
}

it("takes damaged answers for what they are: frames, or a FrameError", () => {
  let refused = 0;
  for (let seed = 1; seed <= 4000; seed += 1) {
    const bytes = damaged(seed);
    try {
      decodeFrames(bytes.buffer);
    } catch (error) {
      expect(error, `seed ${seed}`).toBeInstanceOf(FrameError);
      refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(1000);
});

it("does not stand still at a frame of no length", () => {
  // The next frame was looked for where this one began, for ever.
  const bytes = Uint8Array.from(at(seeds, 0));
  new DataView(bytes.buffer).setUint32(28, 0, true);
  new DataView(bytes.buffer).setUint32(32, 0, true);
  new DataView(bytes.buffer).setUint16(6, 0, true);
  expect(() => decodeFrames(bytes.buffer)).toThrow("shorter than its header");
});
