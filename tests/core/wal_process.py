"""A process that appends to a log until it is killed: `python wal_process.py FOLDER`.

It prints `next_seq` after each append, and nothing that is not appended.
"""

from __future__ import annotations

import os
import sys

from buoy_core.wal import WalWriter


def main() -> None:
    log = WalWriter(sys.argv[1], bytes(range(16)), segment_bytes=20_000)
    while True:
        first = log.next_seq
        log.append_records(
            [b"\x42record %d" % number for number in range(first, first + 1 + first % 5)], time_us=first
        )
        if first % 7 == 0:
            log.sync()
        os.write(1, b"%d\n" % log.next_seq)


if __name__ == "__main__":
    main()
