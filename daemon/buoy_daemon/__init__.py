"""The machine daemon: reads spools, keeps the write-ahead log of each run, uploads it, samples the hardware.

    spool folders ──> tailer ──> stream (WAL) ──> uploader lanes ──> servers
    Append (gRPC) ──┘              ^
    sampler ───────────────────────┘

One thread (`tailer`) owns every stream and its log; all others hand it jobs. What must survive is in the log and in the
stream index before anything else depends on it, so that starting after SIGKILL is the same as starting.
"""
