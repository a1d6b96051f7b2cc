"""One stream: a run's log on this machine in one attempt, and the writers that feed it.

Only the tail thread calls the methods that change anything; other threads read the plain attributes. What keeps
records safe is the order of things:

1. A record is in the log before the writer's `logged` offset moves, and the log is synced before `synced` does.
2. Spool bytes are released, gRPC frames acknowledged, and blocks sent to the server, below what is synced only. So
   after a power cut the server is never ahead of the log, and no sequence is ever used twice.
3. A writer counts as ended in the index after its end is in a synced log; its spool is removed after that.

Whenever something fails in between, `suspend` forgets what is in memory, and `open` starts again from the log.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from urllib.parse import quote

from buoy_core import Chunk, faults
from buoy_core.format import WAL_SEGMENT_BYTES
from buoy_proto import v1

from buoy_daemon import records
from buoy_daemon.backlog import Lateness
from buoy_daemon.drops import drop_records
from buoy_daemon.errors import LogTrouble
from buoy_daemon.files import write_json
from buoy_daemon.index import Index, StreamEntry, WriterEntry
from buoy_daemon.log_end import writer_end_in_log
from buoy_daemon.source import AppendSource
from buoy_daemon.stop import StopOrder
from buoy_daemon.stream_log import StreamLog, explain, now_us
from buoy_daemon.tail import Tail, missing_report
from buoy_daemon.unreadable import UnreadableSource
from buoy_daemon.version import version

log = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 20
"""A block is cut when so much waits ..."""

BLOCK_S = 0.15
"""... or when the writer's last block is so long ago. The first record after a pause thus goes out at once."""

TOLD_MAX = 1024
"""Of so many writers of a stream a heartbeat tells the backlog; those with the largest."""

BLOCKS_A_TURN = 8
"""How many blocks of one writer are cut before the other writers get their turn."""


class Stream:
    """A log with its writers. See the module's invariants."""

    def __init__(
        self,
        entry: StreamEntry,
        index: Index,
        machine_id: str,
        *,
        log_segment_bytes: int = WAL_SEGMENT_BYTES,
    ) -> None:
        self.entry = entry
        self.tails = {
            writer_id: Tail(writer_id, item, synced=item.ended_at)
            for writer_id, item in entry.writers.items()
        }
        self._shadow = index.shadow(entry)
        position = self._shadow.position()
        for writer_id, offset in position.offsets.items():
            if writer_id in self.tails:
                self.tails[writer_id].synced = max(offset, self.tails[writer_id].synced)
        self.next_seq = self.synced_seq = max(entry.final_seq, position.seq)
        self.acked_seq = 0
        self.unsynced_since: float | None = None
        self.closed = entry.closed
        self.finished_at: float | None = None
        self.trouble = ""
        """Why the log cannot be written now; empty if it can."""
        self.stop: StopOrder | None = None
        """A request to stop that its writers have to hear of."""
        self.log_is_short = False
        """Whether the uploader has missed records that must be in the log."""
        self.keeps_ack = True
        self.hidden = False
        """Whether the server has said that the run is deleted."""
        self.lost: list[str] = []
        """What of the log could not be read when it was sent."""
        self.is_new = False
        """Whether this daemon made the log, so that no server can know of it yet."""
        self._index = index
        self._machine_id = machine_id
        self._log_segment_bytes = log_segment_bytes
        self._log: StreamLog | None = None
        self._defined_keys: set[int] = set()
        self._lateness = Lateness()

    @property
    def stream_id(self) -> bytes:
        """16 random bytes."""
        return self.entry.stream_id

    @property
    def base_url(self) -> str:
        """The server; empty when offline."""
        return self.entry.base_url

    @property
    def run_dir(self) -> str:
        """The run's folder."""
        return self.entry.run_dir

    @property
    def wal_dir(self) -> Path:
        """Where the log's segments are."""
        return Path(self.entry.run_dir) / "wal"

    @property
    def url(self) -> str:
        """The run's page; empty when offline."""
        base_url = self.entry.base_url
        if not base_url:
            return ""
        entity, project, run_id = (quote(part, safe="") for part in self.entry.key)
        return f"{base_url.rstrip('/')}/{entity}/{project}/runs/{run_id}"

    @property
    def is_open(self) -> bool:
        """Whether the log takes records now (not closed, not suspended)."""
        return self._log is not None

    @property
    def last_sync_s(self) -> float:
        """How long the log's last sync took."""
        return self._log.last_sync_s if self._log is not None else 0.0

    @property
    def finished(self) -> bool:
        """Whether it needs nothing more, and the index knows."""
        return self.finished_at is not None

    @property
    def uploaded(self) -> bool:
        """Whether the server has everything, or there is none to send it to."""
        return not self.entry.base_url or self.acked_seq >= self.next_seq

    # Opening and trouble

    def open(self) -> None:
        """Opens or makes the log, and reads back from it where each writer stands. Raises LogTrouble."""
        opened = StreamLog(self.wal_dir, self.stream_id, self._log_segment_bytes)
        try:
            if opened.next_seq == 0:
                self._begin(opened)
            self._mend(opened)
            for tail in self.tails.values():
                tail.restart(max(tail.synced, opened.offset_of(tail.writer_id)))
                tail.marks.restart(opened.next_seq, tail.logged)
        except BaseException:
            opened.close()
            raise
        faults.point("stream.after_log")
        self._log = opened
        self.next_seq, self.synced_seq = opened.next_seq, max(self.synced_seq, opened.synced_seq)
        for tail in self.live_tails():
            self.resume(tail)
        self.unsynced_since = time.monotonic() if opened.next_seq > opened.synced_seq else None

    def resume(self, tail: Tail) -> None:
        """Lets a writer's frames come over gRPC, if its do and the log is open."""
        if self._log is not None and isinstance(tail.source, AppendSource) and not tail.source.ready:
            tail.source.resume(self._log.tables_of(tail.writer_id))

    def _mend(self, opened: StreamLog) -> None:
        """Has a log go on where the one before it ended, if somebody has deleted that. Raises LogTrouble."""
        lost = self.synced_seq - opened.next_seq
        if lost > 0:
            opened.append_gap(lost, _loss(self.wal_dir, lost, new=opened.next_seq == 1))
        if lost > 0 or any(opened.offset_of(tail.writer_id) < tail.synced for tail in self.tails.values()):
            for writer_id, tables in self._shadow.tables():
                if writer_id in self.tails:
                    opened.append_tables(writer_id, tables, self.tails[writer_id].synced)
        self._shadow.set_tables(opened.tables)

    def restore(self) -> None:
        """Replaces what is missing of a closed stream's log by a gap, so that the server hears of it.

        Its writers' ends are told again: they may have been in there. Raises LogTrouble.
        """
        self.log_is_short = False
        opened = StreamLog(self.wal_dir, self.stream_id, self._log_segment_bytes)
        self._log = opened
        if opened.next_seq == 0:
            self._begin(opened)
        whole = opened.next_seq >= self.synced_seq
        self._mend(opened)
        if not whole:
            self.append_own(
                [
                    records.writer_end(writer_id, entry.state, time_us=now_us())
                    for writer_id, entry in self.entry.writers.items()
                ]
            )
        self.sync()
        self.entry.final_seq = self.next_seq
        self._save()
        self.suspend()

    def catch_up(self) -> None:
        """Goes on where the server is, which has more than the log: that is not the one it was. Raises LogTrouble."""
        opened = self._opened()
        text = (
            f"the server has {self.acked_seq} records of this log, which has only {opened.next_seq}: it is an older "
            "copy, or lost its end together with the state folder; it goes on behind that"
        )
        log.error("%s: %s", self.entry.run_dir, text)
        details = {"server": self.acked_seq, "log": opened.next_seq}
        event = records.event("log_behind", text, details, level=v1.LEVEL_ERROR, time_us=now_us())
        opened.append_gap(self.acked_seq - opened.next_seq, event)
        self.append_own([event])

    def _begin(self, opened: StreamLog) -> None:
        self.is_new = self.synced_seq == 0
        try:
            write_json(Path(self.entry.run_dir) / "run.json", self._description(), durable=False, fault="run")
        except OSError as error:
            raise LogTrouble(explain(error)) from error
        opened.append_own([self._stream_start()])

    def suspend(self) -> None:
        """Forgets what is not in the log for sure; `open` goes on from there."""
        if self._log is not None:
            self._log.close()
            self._log = None
        self._defined_keys.clear()
        self.unsynced_since = None

    def _stream_start(self) -> bytes:
        return records.stream_start(
            self.stream_id,
            self.entry.run,
            attempt=self.entry.attempt,
            machine_id=self._machine_id,
            host=self.entry.host,
            time_us=self.entry.created_us,
            version=version(),
            launch=self.entry.launch,
            branch=v1.Branch.FromString(self.entry.branch) if self.entry.branch else None,
        )

    def _description(self) -> dict[str, object]:
        run = self.entry.run
        return {
            "stream_id": self.stream_id.hex(),
            "run_id": run.run_id,
            "entity": run.entity,
            "project": run.project,
            "name": run.name,
            "attempt": self.entry.attempt,
            "base_url": self.entry.base_url,
        }

    # Writers

    def add_writer(self, writer_id: bytes, entry: WriterEntry) -> Tail:
        """Notes a writer, durably. Raises LogTrouble, and then the writer is not noted."""
        self.entry.writers[writer_id] = entry
        try:
            self._save()
        except LogTrouble:
            del self.entry.writers[writer_id]
            raise
        tail = Tail(writer_id, entry)
        if self._log is not None:
            tail.restart(self._log.offset_of(writer_id))
            tail.marks.restart(self._log.next_seq, tail.logged)
        self.tails[writer_id] = tail
        return tail

    def revive(self, tail: Tail) -> None:
        """Takes an ended writer back. Raises LogTrouble."""
        before, tail.entry.state = tail.entry.state, v1.RUN_STATE_RUNNING
        tail.entry.unseen_at = 0
        try:
            self._save()
        except LogTrouble:
            tail.entry.state = before
            raise

    def move_writer(self, tail: Tail, spool_dir: str) -> None:
        """Has a writer's records come from a spool from now on. Raises LogTrouble."""
        before, tail.entry.spool_dir = tail.entry.spool_dir, spool_dir
        try:
            self._save()
        except LogTrouble:
            tail.entry.spool_dir = before
            raise
        if tail.source is not None:
            tail.source.close()
            tail.source = None

    def live_tails(self) -> list[Tail]:
        """The writers that have not ended."""
        return [tail for tail in list(self.tails.values()) if not tail.ended]

    @property
    def living(self) -> bool:
        """Whether the process of one of its writers can be seen to live."""
        return any(tail.source is not None and tail.source.alive() for tail in self.live_tails())

    # Backlog

    def look_behind(self, now: float) -> None:
        """Notes how far the server is behind. About once a second."""
        tails = self.live_tails()
        self._lateness.look(
            now,
            recorded=sum(tail.committed for tail in tails),
            logged=sum(tail.logged for tail in tails),
            next_seq=self.next_seq,
            acked_seq=self.acked_seq,
        )

    @property
    def behind(self) -> dict[str, object] | None:
        """What a heartbeat says of a stream whose records do not arrive in time: where log and writers are."""
        if not self._lateness.late:
            return None
        waiting = [(tail.backlog_bytes(self.acked_seq), tail) for tail in self.live_tails()]
        most = sorted((item for item in waiting if item[0]), key=lambda item: -item[0])[:TOLD_MAX]
        return {
            "next_seq": self.next_seq,
            "writers": {tail.writer_id.hex(): tail.committed for _, tail in most},
        }

    # Logging

    def pump(self, tail: Tail, now: float) -> bool:
        """Cuts the blocks of a writer that are due. True if records are on their way, so it should be asked soon.

        Raises LogTrouble; the stream must then be suspended.
        """
        for _ in range(BLOCKS_A_TURN):
            tail.look()
            waiting = tail.committed - tail.logged
            if waiting <= 0:
                return now - tail.last_cut < BLOCK_S
            if waiting < BLOCK_BYTES and now - tail.last_cut < BLOCK_S and tail.flush_to <= tail.logged:
                return True
            if not self._log_next(tail):
                return False
            tail.last_cut = now
        return True

    def drain(self, tail: Tail) -> None:
        """Logs everything the writer has handed over by now. Raises LogTrouble."""
        tail.look()
        end = tail.committed
        while tail.logged < end and self._log_next(tail):
            pass

    def _log_next(self, tail: Tail) -> bool:
        """Logs one chunk; False if there is none."""
        chunk = tail.read(BLOCK_BYTES)
        if chunk is None:
            return False
        if chunk.begin > tail.logged:
            self._append(tail, missing_report(tail.logged, chunk.begin))
        self._append(tail, chunk)
        return True

    def _append(self, tail: Tail, chunk: Chunk) -> None:
        opened = self._opened()
        opened.append(chunk, tail.writer_id)
        if chunk.tables:
            self._shadow.add_tables(tail.writer_id, chunk.tables)
        self._appended(opened)
        tail.took(chunk)
        tail.marks.note(self.next_seq, tail.logged, self.acked_seq)

    def append_own(self, own_records: list[bytes]) -> None:
        """Logs records of the daemon itself. Raises LogTrouble."""
        opened = self._opened()
        opened.append_own(own_records)
        self._appended(opened)

    def append_sample(self, values: dict[str, float | int], time_us: int) -> None:
        """Logs one sample of the machine. Raises LogTrouble.

        The names' ids are in the index before they are used, so that another daemon goes on with the same ones. They
        are defined anew after each opening of the log: it may have lost its end.
        """
        keys = self.entry.system_keys
        new = [name for name in values if name not in keys]
        if new:
            keys.extend(new)
            self._save()
        ids = {name: key_id for key_id, name in enumerate(keys)}
        undefined = [name for name in values if ids[name] not in self._defined_keys]
        row = records.system_row([(ids[name], value) for name, value in values.items()], time_us=time_us)
        self.append_own([records.key_definition(ids[name], name) for name in undefined] + [row])
        self._defined_keys.update(ids[name] for name in undefined)

    def say_alive(self) -> None:
        """Shows the writers that a daemon reads along, and whether what they log waits."""
        for tail in self.live_tails():
            if tail.source is not None:
                tail.source.touch(waiting=bool(self.trouble))

    def log_drops(self, now: float) -> None:
        """Logs how much the writers could not keep, where that is due. Raises LogTrouble."""
        for tail in self.live_tails():
            if tail.source is not None and tail.drops.look(tail.source.dropped, now):
                entry = tail.entry
                self.append_own(
                    drop_records(
                        tail.drops, tail.writer_id, rank=entry.rank, host=entry.host, time_us=now_us()
                    )
                )
                tail.drops.took(now)

    def _appended(self, opened: StreamLog) -> None:
        # Before the writer's offset moves: who sees a new offset must also see a sequence that covers it.
        self.next_seq = opened.next_seq
        if self.unsynced_since is None:
            self.unsynced_since = time.monotonic()

    def _opened(self) -> StreamLog:
        if self._log is None:
            raise LogTrouble("the log is not open")
        return self._log

    # Durability

    def sync(self) -> None:
        """Makes the log durable. Raises LogTrouble; then nothing is released. May run beside other streams' syncs."""
        opened = self._opened()
        seq = opened.next_seq
        logged = [(tail, tail.logged) for tail in self.tails.values()]
        opened.sync()
        # Before anything is sent or released: a log that is made again must not begin below what the server has.
        self._shadow.note_position(seq, {tail.writer_id: offset for tail, offset in logged})
        self.synced_seq = seq
        self.unsynced_since = None
        for tail, offset in logged:
            tail.synced = max(tail.synced, offset)

    def release(self) -> None:
        """Lets the writers' sources free what the synced log holds."""
        for tail in self.tails.values():
            if tail.source is not None:
                tail.source.synced(tail.synced)

    # Ends

    def settle(self, over: list[Tail]) -> None:
        """Ends writers that will not write any more. Raises LogTrouble; then it can be tried again.

        Whatever they handed over is read; one that did not say how it ended is marked as crashed.
        """
        states = {}
        for tail in over:
            self.drain(tail)
            states[tail.writer_id] = self._end_state(tail)
            unseen = tail.source is not None and not (tail.end or tail.source.gone())
            tail.entry.unseen_at = tail.logged if unseen else 0
            tail.entry.ended_at = 0 if tail.entry.spool_dir else tail.logged
        self.sync()
        faults.point("close.before_index")
        self._note_ends(states)
        faults.point("close.after_index")
        for tail in over:
            self._opened().forget(tail.writer_id)
            if tail.source is not None:
                tail.source.close() if tail.entry.unseen_at else tail.source.remove()
                tail.source = None

    def _end_state(self, tail: Tail) -> int:
        end = tail.end
        if not tail.read_any:
            end = writer_end_in_log(self.wal_dir, tail.writer_id, self.next_seq, tail.logged)
        if end is not None:
            return end.state or v1.RUN_STATE_FINISHED
        dropped = tail.source.dropped if tail.source else 0
        faults.point("end.before_record")
        own = [records.writer_crashed(tail.writer_id, time_us=now_us(), dropped=dropped)]
        if isinstance(tail.source, UnreadableSource):
            own.insert(0, tail.source.report(tail.logged, now_us()))
        self.append_own(own)
        faults.point("end.after_record")
        log.info("writer %s of run %s ended without a word", tail.writer_id.hex(), self.entry.run.run_id)
        return v1.RUN_STATE_CRASHED

    def _note_ends(self, states: dict[bytes, int]) -> None:
        for writer_id, state in states.items():
            self.entry.writers[writer_id].state = state
        self.entry.closed = not self.live_tails()
        self.entry.final_seq = self.next_seq if self.entry.closed else 0
        try:
            self._save()
        except LogTrouble:
            for writer_id in states:
                self.entry.writers[writer_id].state = v1.RUN_STATE_RUNNING
            self.entry.closed = False
            raise

    def close(self) -> None:
        """Closes the log of a stream whose writers have all ended."""
        self.suspend()
        self.closed = True

    def reopen(self) -> None:
        """Makes a closed stream one that waits for `open`, for a writer that comes late. Raises LogTrouble."""
        self.entry.closed = False
        self._save()
        self.closed = False
        self.finished_at = None

    def _save(self) -> None:
        try:
            self._index.save(self.entry)
        except OSError as error:
            raise LogTrouble(explain(error)) from error


def _loss(wal_dir: Path, lost: int, *, new: bool) -> bytes:
    """Says that `lost` records are not in the local log any more: it was deleted and is new, or its end is damaged."""
    if new:
        code, text = (
            "log_deleted",
            f"the local log was deleted while the run went on; {lost} records are no longer in it",
        )
    else:
        code, text = (
            "log_damaged",
            f"the end of the local log {wal_dir} is damaged; {lost} records are no longer in it",
        )
    log.error("%s: %s", wal_dir.parent, text)
    return records.event(code, text, {"records": lost}, level=v1.LEVEL_WARN, time_us=now_us())
