/** The projects that budgets are measured on: written once by tests/datasets.py, and kept in .bench/web. */
import { execFileSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PYTHON, REPOSITORY, Server } from "../e2e/harness.ts";
import { FOLDER } from "./report.ts";

/** Another content needs another name, so that nobody measures an old one. */
const STORE = join(FOLDER, "store-1");
const WRITE = `
import sys
from pathlib import Path
from tests.datasets import fill, shape_of
fill(Path(sys.argv[1]), {name: shape_of(name) for name in ("w1", "w2", "w3", "w4")})
`;

/** A server over W1 to W4, as projects of these names. */
export async function datasets(): Promise<Server> {
  const done = join(STORE, "written");
  if (!existsSync(done)) {
    rmSync(STORE, { recursive: true, force: true });
    const began = Date.now();
    execFileSync(PYTHON, ["-c", WRITE, join(STORE, "data")], { cwd: REPOSITORY, stdio: "inherit" });
    process.stdout.write(`  W1 to W4 written in ${((Date.now() - began) / 1000).toFixed(0)} s\n`);
    writeFileSync(done, "");
  }
  return Server.over(STORE);
}
