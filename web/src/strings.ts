/**
 * Every word the dashboard says, in one place, so that another language is another object of the same shape.
 * Values are text or functions of what varies; grammar (plural, order) stays in here.
 */

const many = (n: number, one: string, other: string): string => (n === 1 ? one : other);

export const t = {
  app: "buoy",
  skip: "Skip to content",
  cancel: "Cancel",
  theme: { label: "Theme", auto: "Auto", light: "Light", dark: "Dark" },

  /** The state, and what is said of it where there is room. */
  water: {
    live: "Live",
    idle: "Idle",
    connecting: "Connecting…",
    lost: "Disconnected",
    lastData: (age: string) => `last data ${age}`,
    retrying: "retrying",
    listening: "Listening for the first run…",
  },

  projects: {
    title: "Projects",
    count: (n: string) => n,
    name: "Name",
    entity: "Entity",
    live: "Live",
    runs: "Runs",
    activity: "Last activity",
    created: "Created",
    empty: "No runs yet",
    emptyHint: "Install buoy where you train, and log a first number:",
    copy: "Copy",
    copied: "Copied",
  },

  runs: {
    title: "Runs",
    state: "State",
    name: "Name",
    created: "Created",
    duration: "Duration",
    host: "Host",
    shown: (shown: string, total: string) => `${shown} of ${total} runs`,
    more: "Show more",
    empty: "No runs in this project",
  },

  run: {
    tabs: { charts: "Charts", overview: "Overview", system: "System", events: "Events" },
    tabsLabel: "Run views",
    step: (s: string) => `step ${s}`,
    steps: (from: string, to: string) => `steps ${from} to ${to}`,
    search: "Filter charts",
    x: "x axis",
    xNames: { step: "Step", rel: "Relative time" },
    logY: "Log y",
    superseded: "Earlier attempts",
    reset: "Reset zoom",
    charts: (n: string, all: string) =>
      n === all ? `${n} ${many(Number(n), "chart", "charts")}` : `${n} of ${all} charts`,
    noKeys: "No metrics yet",
    noKeysHint: "Charts appear here with the first log() of this run.",
    noSystem: "No system metrics yet",
    noSystemHint: "The daemon samples CPU, memory, disk and network every 10 s while the run is live.",
    noMatch: (q: string) => `No chart has “${q}” in its name`,
    clear: "Clear filter",
    plain: "Charts",
    subsystems: {
      accelerator: "Accelerators",
      processor: "Processor and memory",
      disk: "Disk",
      network: "Network",
      other: "Other",
    },
  },

  chart: {
    noPoints: "No points yet",
    ranks: (n: number) => `${n} ranks`,
    rank: (r: number) => `rank ${r}`,
    attempt: (n: number) => `attempt ${n}`,
    nonFinite: (n: string, exact: boolean) => `${exact ? "" : "≥ "}${n} NaN or ±Inf not drawn`,
    notOnLog: (n: string) => `${n} ≤ 0 not drawn`,
    buckets: (width: string) => `mean of ${width}, shade min–max`,
    steps: (n: string) => `${n} steps`,
    seconds: (s: string) => s,
    count: (n: string) => `n ${n}`,
    summary: (key: string, lines: number, lo: string, hi: string, last: string) =>
      `${key}: ${lines} ${many(lines, "line", "lines")}, from ${lo} to ${hi}, last value ${last}`,
    more: (n: number) => `${n} more`,
    partialTitle: "Part of this chart could not be loaded",
  },

  overview: {
    config: "Config",
    summary: "Summary",
    about: "About",
    writers: "Processes",
    attempts: "Attempts",
    machines: "Machines",
    key: "Key",
    value: "Value",
    noConfig: "This run has no config.",
    noSummary: "Nothing logged yet.",
    facts: {
      state: "State",
      exit: "Exit code",
      id: "Id",
      group: "Group",
      jobType: "Job type",
      tags: "Tags",
      notes: "Notes",
      created: "Created",
      ended: "Ended",
      duration: "Duration",
      stop: "Stop",
      host: "Host",
      fork: "Forked from",
    },
    forkedAt: (step: string) => `at step ${step}`,
    rank: "Rank",
    localRank: "Local rank",
    pid: "Process id",
    state: "State",
    lastStep: "Last step",
    host: "Host",
    dropped: "Dropped",
    attempt: "Attempt",
    started: "Started",
    ended: "Ended",
    seen: "Last heard of",
    missing: "missing",
  },

  events: {
    none: "Nothing out of the ordinary has happened to this run.",
    gaps: "Gaps",
    gap: (n: number, records: string) => `${records} ${many(n, "record", "records")}:`,
    time: "Time",
    level: "Level",
    what: "What happened",
    code: "Code",
    levels: { info: "info", warn: "warning", error: "error" } as Record<string, string>,
  },

  /** What is said above the tabs of a run page. */
  tidings: {
    missing: (n: number, records: string, places: number) =>
      `${records} ${many(n, "record", "records")} of this run ${many(n, "is", "are")} lost` +
      `${places > 1 ? ` in ${places} places` : ""}: a log was damaged before it was sent.`,
    dropped: (n: number, records: string) =>
      `${records} ${many(n, "row was", "rows were")} dropped: there was no room for ${many(n, "it", "them")} on the disk.`,
    more: "What happened",
    silent: (host: string, since: string | null) =>
      `Nothing has been heard of machine ${host || "?"}${since === null ? "" : ` since ${since}`}. ` +
      "Its processes count as crashed until it is back.",
    vias: {
      dashboard: "from the dashboard",
      api: "by the API",
      cli: "by `buoy stop`",
    } as Record<string, string>,
    asked: (via: string, by: string, when: string) =>
      `requested ${via}${by === "" ? "" : ` (${by})`}, ${when}`,
    stopping: (via: string, by: string, when: string) =>
      `Stopping: requested ${via}${by === "" ? "" : ` (${by})`}, ${when}. A machine that is out of reach is told when it is back.`,
    notStopped: (why: string) => `The run could not be asked to stop: ${why}`,
  },

  stop: {
    button: "Stop run",
    title: (name: string) => `Stop ${name}?`,
    text: "Its processes are interrupted as by Ctrl-C and may save what they have. A later resume of the run is not stopped.",
    open: (live: boolean) => (live ? ", stopping…" : ", stop requested"),
    byRequest: ", stopped by request",
  },

  states: {
    running: "running",
    pending: "pending",
    finished: "finished",
    failed: "failed",
    crashed: "crashed",
    killed: "killed",
    stalled: "stalled",
  },

  errors: {
    title: "This part could not be shown",
    load: "Could not load this page",
    retry: "Retry",
    unauthorized:
      "This browser has no key for this server. Open the link that `buoy server` printed; it carries the key.",
    notFound: "There is no such page",
    noRun: "There is no such run, or it has not arrived yet",
    toProjects: "All projects",
    offline: "The server does not answer. It is asked again by itself.",
  },

  ago: {
    now: "just now",
    of: (duration: string) => `${duration} ago`,
  },
} as const;
