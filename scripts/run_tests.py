"""Runs the Python tests in four processes side by side, two of them with the tests of crashes.

The tests mostly wait, for processes that they have killed and for time-outs, so four together take little longer than
one of them. Not by the shell, which would have what runs in the background ignore Ctrl-C, and with it everything that
the tests start.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOGS = Path(".cache/tests")


def groups() -> list[list[Path]]:
    """All files with tests, in four parts of about the same length."""
    files = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))
    crash = [path for path in files if path.parts[1] == "crash"]
    rest = [path for path in files if path.parts[1] != "crash"]
    return [rest[::2], rest[1::2], crash[::2], crash[1::2]]


def main() -> int:
    """Returns 0 if all tests have passed. Arguments go to all four."""
    pytest = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    first, *others = groups()
    LOGS.mkdir(parents=True, exist_ok=True)
    running: list[tuple[Path, subprocess.Popen[bytes]]] = []
    for number, files in enumerate(others):
        log = LOGS / f"{number}.log"
        with log.open("wb") as output:
            running.append(
                (log, subprocess.Popen([*pytest, *files], stdout=output, stderr=subprocess.STDOUT))
            )
    codes = [subprocess.call([*pytest, *first])]
    for log, process in running:
        codes.append(process.wait())
        sys.stdout.buffer.write(log.read_bytes())
        sys.stdout.flush()
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
