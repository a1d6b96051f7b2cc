/** The real thing for browser tests: a server, logging processes with their daemon, and Debian's Chromium. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { promisify } from "node:util";
import { type Browser, chromium } from "playwright-core";

export const REPOSITORY = resolve(import.meta.dirname, "../..");
export const PYTHON = process.env.BUOY_E2E_PYTHON ?? join(REPOSITORY, ".venv/bin/python");
const CHROMIUM = process.env.BUOY_E2E_CHROMIUM ?? "/usr/bin/chromium";
const START_MS = 60_000;
const STOP_MS = 15_000;

const run = promisify(execFile);

/** Waits for the end of a process; kills it if it does not end in time. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await new Promise<void>((done) => child.once("exit", () => done()));
  clearTimeout(late);
}

function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Waits for the `ready: URL` of a process. */
async function ready(child: ChildProcess, what: string): Promise<URL> {
  if (child.stdout === null) throw new Error(`${what} has no output`);
  const lines = createInterface({ input: child.stdout });
  const said = new Promise<URL>((found, failed) => {
    lines.on("line", (line) => {
      const url = /^ready: (\S+)/.exec(line)?.[1];
      if (url !== undefined) found(new URL(url));
    });
    child.once("exit", (code) => failed(new Error(`${what} ended with ${code}`)));
  });
  return within(START_MS, what, said);
}

/** Starts the server process and waits for its `ready:` line. */
async function spawnServer(
  folder: string,
  port: number,
  options: readonly string[],
): Promise<{ child: ChildProcess; ready: URL }> {
  const args = ["-m", "buoy_server", "--port", String(port), "--data-dir", join(folder, "data"), ...options];
  const child = spawn(PYTHON, args, {
    cwd: folder,
    env: environment(folder),
    stdio: ["ignore", "pipe", "inherit"],
  });
  return { child, ready: await ready(child, "the server") };
}

/** A server on a port of its own with a fresh folder; everything of it is gone after `stop`. */
export class Server {
  readonly base: string;
  readonly token: string;
  private child: ChildProcess;
  /** Where it and everything that logs to it keep their files. */
  readonly folder: string;
  private readonly options: readonly string[];
  private readonly loggers: Logger[] = [];
  /** The folder was there before and stays. */
  private readonly kept: boolean;

  private constructor(
    child: ChildProcess,
    folder: string,
    ready: URL,
    options: readonly string[],
    kept = false,
  ) {
    this.kept = kept;
    this.options = options;
    this.child = child;
    this.folder = folder;
    this.base = ready.origin;
    this.token = ready.searchParams.get("token") ?? "";
  }

  /** `options` are more of the server's own. */
  static async start(...options: string[]): Promise<Server> {
    const folder = await mkdtemp(join(tmpdir(), "buoy-e2e-"));
    const { child, ready } = await spawnServer(folder, 0, options);
    return new Server(child, folder, ready, options);
  }

  /** Over a store that Python has written before: `DATA` is its folder. */
  static async filled(code: string, ...options: string[]): Promise<Server> {
    const folder = await mkdtemp(join(tmpdir(), "buoy-e2e-"));
    const env = { ...environment(folder), DATA: join(folder, "data") };
    await run(PYTHON, ["-c", code], { cwd: REPOSITORY, env });
    const { child, ready } = await spawnServer(folder, 0, options);
    return new Server(child, folder, ready, options);
  }

  /** Over a folder that was there before and stays; its store is in `data`. */
  static async over(folder: string, ...options: string[]): Promise<Server> {
    const { child, ready } = await spawnServer(folder, 0, options);
    return new Server(child, folder, ready, options, true);
  }

  /** Ends the process; its folder and address wait for `resume`. */
  async pause(): Promise<void> {
    this.child.kill("SIGTERM");
    await ended(this.child);
  }

  async resume(): Promise<void> {
    this.child = (await spawnServer(this.folder, Number(new URL(this.base).port), this.options)).child;
  }

  /** The address that lets a browser in and goes on to `path`. */
  link(path: string): string {
    const url = new URL(path, `${this.base}/`);
    url.searchParams.set("token", this.token);
    return url.href;
  }

  /** A process that logs to this server through a daemon of its own. */
  logger(): Logger {
    const made = new Logger(this.folder, this.environment());
    this.loggers.push(made);
    return made;
  }

  /** Of a process that logs to this server, or asks it. */
  environment(): NodeJS.ProcessEnv {
    const told = { BASE: this.base, TOKEN: this.token, BUOY_BASE_URL: this.base, BUOY_API_KEY: this.token };
    return { ...environment(this.folder), ...told };
  }

  /** Polls the API until `done` says so: tests wait for conditions, never for a time. */
  async until<T>(path: string, done: (answer: T) => boolean, init?: RequestInit): Promise<T> {
    const end = Date.now() + START_MS;
    const headers = { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" };
    for (;;) {
      const response = await fetch(`${this.base}/${path}`, { ...init, headers });
      if (response.ok) {
        const answer = (await response.json()) as T;
        if (done(answer)) return answer;
      }
      if (Date.now() > end) throw new Error(`${path}: not as expected within ${START_MS} ms`);
      await new Promise((again) => setTimeout(again, 50));
    }
  }

  /** Where its data is; for what may be written there only while it pauses. */
  get dataDir(): string {
    return join(this.folder, "data");
  }

  /** Runs Python against this server, with the repository's tests to import from; gives what it prints. */
  async python(code: string): Promise<string> {
    return (await run(PYTHON, ["-c", code], { cwd: REPOSITORY, env: this.environment() })).stdout;
  }

  async stop(): Promise<void> {
    for (const logger of this.loggers) await logger.stop();
    await run(PYTHON, ["-m", "buoy", "daemon", "stop"], { env: environment(this.folder) }).catch(
      () => undefined,
    );
    await this.pause();
    if (!this.kept) await rm(this.folder, { recursive: true, force: true });
  }
}

/** A real nginx that passes a path of its own on to a server. */
export class Nginx {
  /** Where the dashboard is now, with a slash at the end. */
  readonly base: string;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, base: string) {
    this.child = child;
    this.base = base;
  }

  static async start(server: Server): Promise<Nginx> {
    const args = ["-m", "tests.server.nginx", server.base];
    const child = spawn(PYTHON, args, { cwd: REPOSITORY, stdio: ["pipe", "pipe", "inherit"] });
    return new Nginx(child, `${(await ready(child, "nginx")).href}/`);
  }

  async stop(): Promise<void> {
    this.child.stdin?.end();
    await ended(this.child);
  }
}

/** Nothing of the developer's own buoy: state, spools and credentials go to the test's folder. */
function environment(folder: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("BUOY_"));
  return {
    ...Object.fromEntries(own),
    BUOY_STATE_DIR: join(folder, "state"),
    BUOY_DIR: join(folder, "runs"),
    BUOY_SERVER_CRASHED_AFTER: "10",
  };
}

interface Answer {
  after: number;
  id: string;
  entity: string;
  project: string;
}

/** A training process that does what it is told; see log_points.py. */
export class Logger {
  private readonly child: ChildProcess;
  private readonly lines: Interface;
  private readonly waiting: ((answer: Answer) => void)[] = [];

  constructor(folder: string, env: NodeJS.ProcessEnv) {
    const script = join(import.meta.dirname, "log_points.py");
    const child = spawn(PYTHON, [script], { cwd: folder, env, stdio: ["pipe", "pipe", "ignore"] });
    this.child = child;
    this.lines = createInterface({ input: child.stdout });
    this.lines.on("line", (line) => {
      if (line.startsWith("{")) this.waiting.shift()?.(JSON.parse(line) as Answer);
    });
  }

  tell(request: Record<string, unknown>): Promise<Answer> {
    const answer = new Promise<Answer>((done) => this.waiting.push(done));
    this.child.stdin?.write(`${JSON.stringify(request)}\n`);
    return within(START_MS, JSON.stringify(request).slice(0, 80), answer);
  }

  async stop(): Promise<void> {
    this.child.stdin?.end();
    await ended(this.child);
  }
}

export async function launch(): Promise<Browser> {
  const root = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...(root ? ["--no-sandbox"] : []),
    ],
  });
}
