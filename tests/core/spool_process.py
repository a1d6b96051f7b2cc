"""A process that logs until it is killed: `python spool_process.py CORE FOLDER SEGMENT_BYTES`.

It prints the number of each call after the call has returned, so what was printed must be found in the spool.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module


def main() -> None:
    implementation, directory, segment_bytes = sys.argv[1:]
    core = import_module(f"buoy_core.{implementation}")
    writer = core.Writer(directory, writer_id=bytes(range(16)), segment_bytes=int(segment_bytes))
    number = 0
    while True:
        writer.log(
            {"number": number, "half": number / 2, f"key{number % 100}": number, "text": "x" * (number % 50)}
        )
        os.write(1, b"%d\n" % number)
        number += 1


if __name__ == "__main__":
    main()
