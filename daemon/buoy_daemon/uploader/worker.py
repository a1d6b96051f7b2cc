"""Threads that send streams: one lane for each server, so that a stuck one holds up nobody else's runs.

A lane's few threads take turns over its streams, the one that waits longest first, one request for a stream at a
time. They sleep while there is nothing to send, or nothing to be tried yet.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, field

from buoy_core import faults
from buoy_core.wal import WalReader

from buoy_daemon.credentials import Credentials
from buoy_daemon.files import read_json, write_json
from buoy_daemon.progress import Progress
from buoy_daemon.uploader.batch import Batch, cut_batch
from buoy_daemon.uploader.client import Client
from buoy_daemon.uploader.consignment import Consignment
from buoy_daemon.uploader.plan import (
    BODY_BYTES_MAX,
    Outcome,
    Refused,
    ServerPlan,
    Stored,
    StreamPlan,
    state_of,
)

log = logging.getLogger(__name__)

THREADS_A_SERVER = 2

ACK_FILE_S = 5.0
"""How often a stream's ack.json may be written."""

FRESH_S = 10.0
"""How long it counts that a server has answered."""

PROBE_S = 0.15
"""How long Open waits for a server that has not been heard of lately."""


@dataclass
class Shipment:
    """A stream on its way to a server."""

    stream: Consignment
    plan: StreamPlan = field(default_factory=StreamPlan)
    reader: WalReader | None = None
    in_flight: bool = False
    served_at: float = float("-inf")
    ack_written_at: float = float("-inf")
    ack_written: int = -1

    @property
    def done(self) -> bool:
        """Whether the stream is closed and all of it is on the server."""
        return self.stream.closed and self.stream.uploaded


class Lane:
    """The streams of one server, and the threads that send them."""

    def __init__(self, base_url: str, credentials: Credentials, progress: Progress, timeout_s: float) -> None:
        self.base_url = base_url
        self.plan = ServerPlan()
        self.shipments: dict[Consignment, Shipment] = {}
        """By the object: a folder may be sent beside the stream that writes it; the server counts each record once."""
        self._credentials = credentials
        self._progress = progress
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._trying = False
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def wake(self, stream: Consignment) -> None:
        """The stream has new blocks, or is new."""
        with self._changed:
            if stream not in self.shipments:
                self.shipments[stream] = _shipment(stream)
                self._more_threads()
            self._changed.notify()

    def forget(self, stream: Consignment) -> None:
        """The stream is not to be sent any more, but for the request in hand."""
        with self._changed:
            self.shipments.pop(stream, None)
            self._changed.notify_all()

    def hurry(self, *, server_answers: bool) -> None:
        """Something has changed: a key was given, or the server has been seen. Waiting makes no sense any more."""
        with self._changed:
            if server_answers:
                self.plan.answers()
            for shipment in self.shipments.values():
                shipment.plan.hurry()
            self._changed.notify_all()

    def stop(self) -> None:
        """Has the threads end after the request in hand, and writes the acks down."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for shipment in list(self.shipments.values()):
            _write_ack(shipment, time.monotonic())

    def _more_threads(self) -> None:
        if len(self._threads) < min(THREADS_A_SERVER, len(self.shipments)):
            # A daemon thread: a request that hangs must not keep the process from ending.
            name = f"upload-{len(self._threads)}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self) -> None:
        client = Client(
            self.base_url, timeout_s=self._timeout_s, keys=lambda: self._credentials.keys(self.base_url)
        )
        while (shipment := self._next()) is not None:
            try:
                self._serve(shipment, client)
            except Exception as error:
                log.exception("uploading %s failed", shipment.stream.run_dir)
                # Our own trouble, with the log perhaps: no reason to hold up the server's other streams.
                shipment.reader = None
                reason = Refused(f"{type(error).__name__}: {error}")
                shipment.plan.apply(reason, time.monotonic(), random.random())
            finally:
                self._release(shipment)
        client.close()

    # Choosing

    def _next(self) -> Shipment | None:
        """Blocks until a stream is due; None when the lane ends."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                shipment, pause_s = self._choose(now)
                if shipment is not None:
                    shipment.in_flight = True
                    shipment.served_at = now
                    self._trying = True
                    return shipment
                self._changed.wait(pause_s)
        return None

    def _choose(self, now: float) -> tuple[Shipment | None, float | None]:
        """The stream that has waited longest of those that are due, else how long to sleep (None: until woken)."""
        waiting = [item for item in self.shipments.values() if not item.in_flight and _wants(item)]
        if not waiting:
            return None, None
        if self.plan.failures and (self._trying or now < self.plan.not_before):
            # One thread is enough to find out whether the server is back.
            return None, None if self._trying else self.plan.not_before - now
        due = [item for item in waiting if item.plan.not_before <= now]
        if due:
            return min(due, key=lambda item: item.served_at), None
        return None, min(item.plan.not_before for item in waiting) - now

    def _release(self, shipment: Shipment) -> None:
        with self._changed:
            shipment.in_flight = False
            self._trying = any(item.in_flight for item in self.shipments.values())
            if shipment.done:
                _write_ack(shipment, time.monotonic())
                self.shipments.pop(shipment.stream, None)
            self._changed.notify_all()

    # Sending

    def _serve(self, shipment: Shipment, client: Client) -> None:
        stream, plan = shipment.stream, shipment.plan
        action = plan.action(stream.synced_seq, time.monotonic())
        if action == "ask":
            self._apply(shipment, client.next_seq(stream.stream_id), blocks=0)
        elif action == "send":
            batch = self._batch(shipment)
            if batch is None:
                # The log is damaged up to its end, or it was deleted and is another one now.
                shipment.reader = None
                stream.log_is_short = True
                plan.not_before = time.monotonic() + 1.0
                return
            faults.point("upload.before_send")
            outcome = client.send(stream.stream_id, batch.body)
            faults.point("upload.after_send")
            if isinstance(outcome, Stored):
                # Before the records count as sent, or whoever waits for that would not hear of it.
                _note_losses(stream, batch)
            self._apply(shipment, outcome, blocks=batch.blocks)

    def _batch(self, shipment: Shipment) -> Batch | None:
        if not shipment.stream.wal_dir.is_dir():
            return None
        if shipment.reader is None:
            shipment.reader = WalReader(str(shipment.stream.wal_dir))
        return cut_batch(
            shipment.reader,
            shipment.stream.stream_id,
            shipment.plan.next_seq or 0,
            end_seq=shipment.stream.synced_seq,
            bytes_max=BODY_BYTES_MAX,
            blocks_max=shipment.plan.blocks_limit,
        )

    def _apply(self, shipment: Shipment, outcome: Outcome, *, blocks: int) -> None:
        now = time.monotonic()
        with self._changed:
            before, was = self.plan.failures, shipment.plan.refused
            self.plan.apply(outcome, now, random.random())
            shipment.plan.apply(outcome, now, random.random(), blocks=blocks)
            if self.plan.failures == 1 and before == 0:
                log.warning("%s: %s; trying again until it answers", self.base_url, self.plan.error)
            elif before and not self.plan.failures:
                log.info("%s answers again", self.base_url)
            if shipment.plan.refused and not was:
                log.error("%s refuses %s: %s", self.base_url, shipment.stream.run_dir, shipment.plan.error)
        if isinstance(outcome, Stored):
            shipment.stream.hidden = outcome.deleted
        shipment.stream.acked_seq = shipment.plan.acked_seq
        if isinstance(outcome, Stored):
            faults.point("upload.after_ack")
            if now - shipment.ack_written_at >= ACK_FILE_S:
                _write_ack(shipment, now)
        self._progress.notify()


class Uploader:
    """All lanes."""

    def __init__(self, credentials: Credentials, progress: Progress, *, timeout_s: float) -> None:
        self._credentials = credentials
        self._progress = progress
        self._timeout_s = timeout_s
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()

    def wake(self, stream: Consignment) -> None:
        """The stream has synced blocks, or is new. A stream without a server is left alone."""
        if stream.base_url:
            self.lane(stream.base_url).wake(stream)

    def forget(self, stream: Consignment) -> None:
        """The stream is not to be sent any more."""
        if stream.base_url:
            self.lane(stream.base_url).forget(stream)

    def wants(self, stream: Consignment) -> bool:
        """Whether the stream's server is there, so that its blocks are wanted soon."""
        base_url = stream.base_url
        return bool(base_url) and not self.lane(base_url).plan.failures

    def lane(self, base_url: str) -> Lane:
        """The lane of a server."""
        with self._lock:
            if base_url not in self._lanes:
                self._lanes[base_url] = Lane(base_url, self._credentials, self._progress, self._timeout_s)
            return self._lanes[base_url]

    def server_answers(self, base_url: str) -> bool:
        """Whether a server answers; asks it if it has not been heard of lately, for at most PROBE_S."""
        lane = self.lane(base_url)
        if lane.plan.answered and time.monotonic() - lane.plan.answered_at < FRESH_S:
            return True
        answers = _probe(base_url)
        if answers:
            lane.hurry(server_answers=True)
        return answers

    def hurry(self) -> None:
        """Has every server and stream tried now that is not busy."""
        for lane in list(self._lanes.values()):
            lane.hurry(server_answers=True)

    def last_known(self, base_url: str) -> bool:
        """Whether the server answered the last request, without asking it now."""
        return bool(base_url) and bool(self.lane(base_url).plan.answered)

    def state(self, stream: Consignment) -> tuple[str, str]:
        """The words for Status: state and last error."""
        if not stream.base_url:
            return "offline", ""
        lane = self.lane(stream.base_url)
        shipment = lane.shipments.get(stream)
        if shipment is None:
            return "idle", ""
        state = state_of(shipment.plan, lane.plan, stream.next_seq)
        return state, shipment.plan.error or lane.plan.error

    def stop(self) -> None:
        """Ends all lanes without waiting for requests in flight: the server or the next daemon sorts them out."""
        for lane in list(self._lanes.values()):
            lane.stop()


def _wants(shipment: Shipment) -> bool:
    plan, stream = shipment.plan, shipment.stream
    return plan.next_seq is None or plan.next_seq < stream.synced_seq or shipment.done


def _shipment(stream: Consignment) -> Shipment:
    """Begins where ack.json says, at 0 for a stream of this very daemon, else where the server says."""
    plan = StreamPlan(next_seq=0 if stream.is_new else None)
    about = (read_json(stream.wal_dir.parent / "ack.json") if stream.keeps_ack else None) or {}
    seq = about.get("next_seq")
    if about.get("base_url") == stream.base_url and isinstance(seq, int) and 0 < seq < stream.synced_seq:
        plan.next_seq = plan.acked_seq = stream.acked_seq = seq
    return Shipment(stream, plan)


def _note_losses(stream: Consignment, batch: Batch) -> None:
    for text in batch.lost:
        if text not in stream.lost:
            log.error("the server has been told of a gap: %s", text)
            stream.lost.append(text)


def _write_ack(shipment: Shipment, now: float) -> None:
    stream = shipment.stream
    if shipment.ack_written == stream.acked_seq or not stream.keeps_ack:
        return
    shipment.ack_written_at = now
    shipment.ack_written = stream.acked_seq
    answer = {"next_seq": stream.acked_seq, "base_url": stream.base_url}
    try:
        write_json(stream.wal_dir.parent / "ack.json", answer, durable=False, fault="ack")
    except OSError as error:
        log.warning("ack.json of %s cannot be written: %s", stream.run_dir, error)


def _probe(base_url: str) -> bool:
    """Asks /healthz in a thread of its own, because the time to resolve a name cannot be bounded."""
    answers = threading.Event()

    def ask() -> None:
        client = Client(base_url, timeout_s=PROBE_S, keys=list)
        if client.is_healthy():
            answers.set()
        client.close()
        done.set()

    done = threading.Event()
    threading.Thread(target=ask, name="probe", daemon=True).start()
    done.wait(PROBE_S)
    return answers.is_set()
