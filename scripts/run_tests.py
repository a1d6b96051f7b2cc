"""Runs the Python tests: those of crashes in one process, all others in another, side by side.

The crash tests mostly wait, for processes that they have killed and for time-outs, so together they take hardly longer
than either alone. Not by the shell, which would have what runs in the background ignore Ctrl-C, and with it everything
that the tests start.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LOG = Path(".cache/crash-tests.log")


def main() -> int:
    """Returns 0 if all tests have passed. Arguments go to both."""
    pytest = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("wb") as log:
        crash = subprocess.Popen([*pytest, "tests/crash"], stdout=log, stderr=subprocess.STDOUT)
        rest = subprocess.call([*pytest, "tests", "--ignore=tests/crash"])
        failed = crash.wait()
    sys.stdout.buffer.write(LOG.read_bytes())
    sys.stdout.flush()
    return 1 if rest or failed else 0


if __name__ == "__main__":
    sys.exit(main())
