/** Puts points into a server one upload at a time; see feed_points.py. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { PYTHON, REPOSITORY, type Server } from "./harness.ts";

export type Row = readonly [step: number, values: Readonly<Record<string, number | string>>];

export interface Upload {
  readonly project: string;
  readonly run: string;
  readonly rows: readonly Row[];
  readonly attempt?: number;
  readonly config?: Readonly<Record<string, number | string>>;
  readonly start_s?: number;
  readonly end?: boolean;
}

export class Feeder {
  private readonly child: ChildProcess;
  private readonly lines: Interface;

  constructor(server: Server) {
    const child = spawn(PYTHON, ["-m", "web.e2e.feed_points"], {
      cwd: REPOSITORY,
      env: server.environment(),
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.child = child;
    this.lines = createInterface({ input: child.stdout });
  }

  /** Returns when the server has stored it. */
  async put(upload: Upload): Promise<void> {
    const answer = Promise.race([
      once(this.lines, "line"),
      once(this.child, "exit").then(() => Promise.reject(new Error("the feeding process has ended"))),
    ]);
    this.child.stdin?.write(`${JSON.stringify(upload)}\n`);
    await answer;
  }

  async stop(): Promise<void> {
    const gone = once(this.child, "exit");
    this.child.stdin?.end();
    if (this.child.exitCode === null) await gone;
  }
}
