/** What the page's main thread was busy with, by Chromium's own tracing: real input, real frames. */
import type { CDPSession, Page } from "playwright-core";

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts: number;
  readonly dur?: number;
  readonly args: { readonly name?: string; readonly data?: { readonly type?: string } };
}

/** Milliseconds. */
export interface Span {
  readonly name: string;
  /** Of a dispatched event: `mousemove`. */
  readonly type: string;
  readonly start: number;
  readonly length: number;
}

const CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline", "toplevel", "__metadata"];
const FRAME_MS = 1000 / 60;

async function collect(session: CDPSession): Promise<TraceEvent[]> {
  const found: TraceEvent[] = [];
  session.on("Tracing.dataCollected", ({ value }) => found.push(...(value as unknown as TraceEvent[])));
  const done = new Promise<void>((resolve) => session.once("Tracing.tracingComplete", () => resolve()));
  await session.send("Tracing.end");
  await done;
  return found;
}

/** The main thread of the page that is busiest: the one that was measured. */
function mainThread(events: readonly TraceEvent[]): TraceEvent[] {
  const named = events.filter(
    (event) => event.name === "thread_name" && event.args.name === "CrRendererMain",
  );
  const threads = named.map(({ pid, tid }) =>
    events.filter((event) => event.pid === pid && event.tid === tid),
  );
  return threads.toSorted((a, b) => b.length - a.length)[0] ?? [];
}

/** Does something with the page and tells what its main thread did meanwhile. */
export async function traced(page: Page, act: () => Promise<void>): Promise<Span[]> {
  const browser = page.context().browser();
  if (browser === null) throw new Error("a page without a browser");
  const session = await browser.newBrowserCDPSession();
  await session.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: { includedCategories: CATEGORIES },
  });
  await act();
  const events = mainThread(await collect(session));
  await session.detach();
  return events
    .filter((event) => event.ph === "X")
    .map(({ name, ts, dur = 0, args }) => ({
      name,
      type: args.data?.type ?? "",
      start: ts / 1000,
      length: dur / 1000,
    }))
    .toSorted((a, b) => a.start - b.start);
}

/** The tasks of the main thread, which do not overlap. */
export function tasks(spans: readonly Span[]): Span[] {
  const found: Span[] = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const span of spans) {
    if (span.name !== "RunTask" && span.name !== "ThreadControllerImpl::RunTask") continue;
    if (span.start < end) continue;
    found.push(span);
    end = span.start + span.length;
  }
  return found;
}

/** How long the main thread was busy in each sixtieth of a second in which it was. */
export function frames(spans: readonly Span[]): number[] {
  const busy = new Map<number, number>();
  for (const { start, length } of tasks(spans)) {
    for (let at = start; at < start + length; ) {
      const frame = Math.floor(at / FRAME_MS);
      const until = Math.min(start + length, (frame + 1) * FRAME_MS);
      busy.set(frame, (busy.get(frame) ?? 0) + until - at);
      at = until + 1e-6;
    }
  }
  return [...busy.values()];
}

/** Script and layout of each task in which such an event was dispatched. */
export function perEvent(spans: readonly Span[], type: string): number[] {
  const dispatched = spans.filter((span) => span.name === "EventDispatch" && span.type === type);
  const all = tasks(spans);
  const hit = new Map<Span, number>();
  for (const { start, length } of dispatched) {
    const task = all.find((one) => one.start <= start && start < one.start + one.length);
    if (task !== undefined) hit.set(task, (hit.get(task) ?? 0) + length);
  }
  return [...hit.values()];
}

/** Milliseconds of spans with one of these names, those inside of each other once. */
export function spent(spans: readonly Span[], names: readonly string[]): number {
  let [sum, end] = [0, Number.NEGATIVE_INFINITY];
  for (const { name, start, length } of spans) {
    if (!names.includes(name) || start < end) continue;
    sum += length;
    end = start + length;
  }
  return sum;
}
