"""Named points where a test can kill a process of buoy, as a power cut or an out-of-memory killer would.

`BUOY_FAULT=name:count` has a process kill itself (SIGKILL: no handler, no clean-up) when it visits the point for the
count-th time; `name` alone means the first visit. Every point is in the table below once, with the programs that reach
it and what is true there; `tests/crash/test_fault_points.py` kills each of these programs at each of its points.

Trainers import this too, so it imports nothing that Python has not imported itself. Without the variable a visit costs
one comparison, and the compiled writer does not even make it.
"""

from __future__ import annotations

import os
from itertools import count

TRAINER, DAEMON, SERVER, REMOVAL = "trainer", "daemon", "server", "removal"
"""The programs; what a server does when it removes deleted runs is reached in another way than the rest of it."""

POINTS: dict[str, tuple[tuple[str, ...], str]] = {
    # The writer's spool; visited once a segment, never for a row.
    "spool.before_create": ((TRAINER,), "The segment is full; nothing of the next one exists."),
    "spool.before_publish": ((TRAINER,), "The next segment is complete, but has no name that readers know."),
    "spool.after_publish": ((TRAINER,), "Readers can see the next segment; the one before is not sealed."),
    "spool.after_seal": (
        (TRAINER,),
        "The segment before is sealed; the row that had no room is not written.",
    ),
    # Whoever carries a spool on: the daemon, or the trainer itself when it sends its spool over gRPC.
    "spool.before_delete": ((DAEMON, TRAINER), "A segment is synced elsewhere; it is still here."),
    "spool.after_delete": ((DAEMON, TRAINER), "The segment is gone; the next one that may go is still here."),
    # The daemon's index.
    "index.before_rename": ((DAEMON,), "The new entry is on disk under a temporary name."),
    "index.after_rename": ((DAEMON,), "The new entry has its name, but its folder is not synced."),
    "stream.after_index": ((DAEMON,), "A new stream is in the index; it has neither a folder nor a log."),
    "run.before_rename": ((DAEMON,), "The run's folder exists; run.json has only a temporary name."),
    "run.after_rename": ((DAEMON,), "run.json is there; the log has not begun."),
    "stream.after_log": ((DAEMON,), "The log is open; nobody has been told."),
    # The write-ahead log.
    "wal.before_append": ((DAEMON,), "A block is ready; nothing of it is in the log."),
    "wal.after_append": ((DAEMON,), "The block is in the log, not synced, and nothing else knows of it."),
    "wal.before_sync": ((DAEMON,), "Blocks wait for their sync."),
    "wal.after_sync": ((DAEMON,), "They are synced; no spool has been told, no server has them."),
    "wal.before_roll": (
        (DAEMON,),
        "A segment is full; it is not synced, and nothing of the next one exists.",
    ),
    "wal.before_rename": ((DAEMON,), "The next segment is synced, but has no name that readers know."),
    "wal.after_rename": ((DAEMON,), "The next segment has its name, but its folder is not synced."),
    "wal.after_roll": ((DAEMON,), "The next segment is there for good; no block has gone into it."),
    # A writer on gRPC.
    "append.before_acknowledge": ((DAEMON,), "Its frames are synced; it has not been told."),
    "outbox.before_rename": ((DAEMON,), "Its process is gone; what it could not send is in the outbox."),
    "outbox.after_rename": ((DAEMON,), "Its spool has come to the others; nobody has taken it on."),
    # The end of a writer.
    "end.before_record": ((DAEMON,), "All of a dead writer's records are logged; its end is not."),
    "end.after_record": ((DAEMON,), "The daemon's word for its end is logged, but not synced."),
    "close.before_index": ((DAEMON,), "The end is synced; the index has the writer as running."),
    "close.after_index": ((DAEMON,), "The index has it as ended; its spool is still there."),
    "spool.before_remove": ((DAEMON,), "The spool is to be deleted."),
    "spool.after_remove": ((DAEMON,), "The spool's folder is gone."),
    # Upload.
    "upload.before_send": ((DAEMON,), "A body is cut from the log; the server has nothing of it."),
    "upload.after_send": ((DAEMON,), "The server has answered; the daemon has not looked at the answer."),
    "upload.after_ack": ((DAEMON,), "The answer counts in memory only."),
    "ack.before_rename": ((DAEMON,), "The new ack.json has only a temporary name."),
    "ack.after_rename": ((DAEMON,), "ack.json says what the server has."),
    "recorded.before_rename": (
        (DAEMON,),
        "Everything is on the server; that the folder may go is not noted.",
    ),
    "recorded.after_rename": ((DAEMON,), "It is noted; the index still has the stream."),
    "done.before_rename": ((DAEMON,), "Everything is on the server; the index still has the stream."),
    "done.after_rename": ((DAEMON,), "The index has let the stream go."),
    # Housekeeping.
    "remove.before_rename": ((DAEMON,), "A folder may go; it is whole."),
    "remove.after_rename": ((DAEMON,), "It is no run's folder any more; everything of it is still there."),
    "remove.after_delete": ((DAEMON,), "A part of its log is deleted."),
    "remove.before_forget": ((DAEMON,), "The folder is gone; it is still noted."),
    # Ingest.
    "ingest.after_stream": (
        (SERVER,),
        "The run and the stream have their ids; nothing else of the upload is stored.",
    ),
    "ingest.before_insert": ((SERVER,), "Keys have their ids too; no point has been inserted."),
    "ingest.after_points": ((SERVER,), "The points are in the metrics store; texts are not."),
    "ingest.after_insert": ((SERVER,), "All metrics are in; the stream's position has not moved."),
    "ingest.before_commit": ((SERVER,), "The metadata transaction is complete but not committed."),
    "ingest.after_commit": ((SERVER,), "Everything is stored; the client has no answer yet."),
    # Removal of deleted runs.
    "removal.after_marks": ((REMOVAL,), "SQL has forgotten the run; all of its points are still there."),
    "removal.after_request": ((REMOVAL,), "The engine is to remove the points; nobody has seen them gone."),
}

_SIGKILL = 9


def reached_by(program: str) -> list[str]:
    """The points that a program visits."""
    return [name for name, (programs, _) in POINTS.items() if program in programs]


def point(name: str) -> None:
    """Visits a point: dies here if the environment says so."""
    if name == _name and next(_visits) == _count:
        os.kill(os.getpid(), _SIGKILL)


def _order(text: str) -> tuple[str, int]:
    """What BUOY_FAULT asks for.

    Raises:
        ValueError: there is no such point, or no such count. A test that means to kill must not pass quietly.
    """
    name, _, visits = text.partition(":")
    if name and (name not in POINTS or not (visits or "1").isdigit()):
        raise ValueError(f"BUOY_FAULT names no fault point: {text}; buoy_core/faults.py lists them")
    return name, int(visits or 1)


_name, _count = _order(os.environ.get("BUOY_FAULT", ""))
_visits = count(1)

armed = bool(_name)
"""Whether any point is to kill this process."""
