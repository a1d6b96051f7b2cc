/** How long a run took: seconds from start to end, or to now while the run is live; null before it has started. */
export function lasted(
  startedUs: number | null,
  endedUs: number | null,
  live: boolean,
  nowMs: number,
): number | null {
  if (startedUs === null) return null;
  const end = endedUs ?? (live ? nowMs * 1000 : null);
  return end === null ? null : (end - startedUs) / 1e6;
}
