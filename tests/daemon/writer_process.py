"""A training process for tests: logs 0, 1, 2, ... under "value" and then ends as told.

python writer_process.py STATE_DIR RUN_DIR BASE_URL WRITER_ID RUN_ID COUNT ROWS_A_SECOND finish|kill|hold|wait

`wait`: as many rows again once there is something to read on the standard input, and then as `finish`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from buoy_core import Writer
from buoy_core.state import spool_root
from buoy_proto import v1

SEGMENT_BYTES = 1 << 16


def main() -> None:
    state_dir, run_dir, base_url, writer_hex, run_id, count, rate, end = sys.argv[1:]
    writer_id = bytes.fromhex(writer_hex)
    spools = spool_root(Path(state_dir))
    spools.mkdir(mode=0o700, parents=True, exist_ok=True)
    writer = Writer(str(spools / writer_hex), writer_id=writer_id, segment_bytes=SEGMENT_BYTES)
    start = v1.WriterStart(
        writer_id=writer_id,
        run=v1.RunInfo(entity="local", project="p", run_id=run_id),
        time_unix_us=time.time_ns() // 1000,
        host=os.uname().nodename,
        pid=os.getpid(),
        run_dir=run_dir,
        base_url=base_url,
    )
    writer.append(v1.Record(writer_start=start).SerializeToString())
    log(writer, int(count), float(rate))
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "wait":
        sys.stdin.readline()
        log(writer, int(count), float(rate), first=int(count))
    if end in {"finish", "wait"}:
        last = v1.WriterEnd(writer_id=writer_id, state=v1.RUN_STATE_FINISHED)
        writer.append(v1.Record(writer_end=last).SerializeToString())
        writer.close()
    print("done", flush=True)
    if end == "hold":
        signal.pause()


def log(writer: Writer, count: int, rate: float, first: int = 0) -> None:
    """Logs at an even pace, whatever else happens."""
    begin = time.monotonic()
    for number in range(count):
        writer.log({"value": first + number})
        if number % 20 == 0:
            time.sleep(max(0.0, begin + number / rate - time.monotonic()))


if __name__ == "__main__":
    main()
