"""Shows servers that writers live, and hears from them which run has to stop.

One long poll for each server, however many streams there are: it names them all, and the server answers when one
has to stop, or after a while. When a stream is added the poll is broken off and begins anew.
"""

from __future__ import annotations

import json
import logging
import math
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from buoy_daemon.credentials import Credentials
from buoy_daemon.stream import Stream
from buoy_daemon.uploader.client import Client
from buoy_daemon.uploader.plan import (
    REFUSED_FIRST_S,
    REFUSED_MAX_S,
    Outcome,
    Refused,
    ServerPlan,
    Trouble,
    outcome_of,
    pause_s,
)

log = logging.getLogger(__name__)

WAIT_S = 20.0
"""How long a server may keep a heartbeat. Proxies lose patience after half a minute."""

SILENCE_S = 10.0
"""How much longer than that an answer may take."""

BEAT_MIN_S = 0.2
"""The shortest time between two heartbeats, for a server that keeps none."""

OLD_SERVER_S = 600.0
"""Time between two tries with a server that knows no heartbeats: it may be replaced by a newer one."""

STREAMS_MAX = 10_000
BEHIND_MAX = 32
"""Of so many streams a heartbeat tells the backlog. With all their writers that is a megabyte or two."""

OnStop = Callable[[bytes, str], None]
"""Called with a stream that has to stop, and why."""


@dataclass(frozen=True)
class Heard:
    """200: the streams that have to stop, with the reason, and after how long a silence the server misses them."""

    stops: Mapping[bytes, str]
    crashed_after_s: float = math.inf


def heard_of(status: int, headers: Mapping[str, str], body: bytes) -> Heard | Outcome:
    """What the answer to a heartbeat means."""
    if status != 200:
        return outcome_of(status, headers, body)
    try:
        answer = json.loads(body)
        stops = {bytes.fromhex(item["stream"]): str(item["reason"]) for item in answer["stop"]}
        return Heard(stops, float(answer.get("crashed_after_s", math.inf)))
    except (ValueError, TypeError, KeyError):
        return Trouble("the server's answer to a heartbeat makes no sense")


class BeatPlan:
    """When to beat next. Pure, as the other plans are."""

    def __init__(self) -> None:
        self.not_before = float("-inf")
        self.known = True
        """Whether the server knows heartbeats."""
        self._server = ServerPlan()
        self._refusals = 0
        self._pause_max_s = math.inf

    def apply(self, outcome: Heard | Outcome, *, status: int, now: float, chance: float) -> None:
        """Takes in how a heartbeat went. `status` is the HTTP status, 0 without an answer."""
        self.known = status not in (404, 405)
        if isinstance(outcome, Heard):
            self._server, self._refusals = ServerPlan(), 0
            # A server that is back misses nobody sooner than that; so it has to be tried more often.
            self._pause_max_s = max(outcome.crashed_after_s / 4, BEAT_MIN_S)
            self.not_before = now + BEAT_MIN_S
        elif not self.known:
            self.not_before = now + OLD_SERVER_S
        elif isinstance(outcome, Refused):
            self._refusals += 1
            self.not_before = now + pause_s(self._refusals, REFUSED_FIRST_S, REFUSED_MAX_S, chance)
        else:
            self._server.apply(outcome, now, chance)
            pause_max_s = self._pause_max_s if isinstance(outcome, Trouble) else math.inf
            self.not_before = min(max(self._server.not_before, now + BEAT_MIN_S), now + pause_max_s)


class Heart:
    """The heartbeats to one server."""

    def __init__(self, base_url: str, machine_id: str, credentials: Credentials, on_stop: OnStop) -> None:
        self._machine_id = machine_id
        self._on_stop = on_stop
        self._client = Client(base_url, timeout_s=WAIT_S + SILENCE_S, keys=lambda: credentials.keys(base_url))
        self._plan = BeatPlan()
        self._changed = threading.Condition()
        self._living: frozenset[bytes] = frozenset()
        self._behind: Mapping[str, object] = {}
        self._named: frozenset[bytes] = frozenset()
        self._told: set[bytes] = set()
        self._stopping = False
        self._status = 0
        # A daemon thread: a request that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def live(self, streams: frozenset[bytes], behind: Mapping[str, object]) -> None:
        """These streams have live writers now, and of those in `behind` records wait."""
        with self._changed:
            self._living = streams
            self._behind = behind
            if streams and not self._thread.is_alive() and not self._stopping:
                self._thread.start()
            if streams - self._named and self._plan.known:
                self._client.interrupt()
            self._changed.notify()

    def stop(self) -> None:
        """Ends the heartbeats."""
        with self._changed:
            self._stopping = True
            self._client.interrupt()
            self._changed.notify()

    def _run(self) -> None:
        while (streams := self._next()) is not None:
            outcome = self._beat(streams)
            with self._changed:
                woken = bool(self._living - self._named)
                if not (woken and isinstance(outcome, Trouble)):
                    self._plan.apply(
                        outcome, status=self._status, now=time.monotonic(), chance=random.random()
                    )
                self._told &= self._living
            if isinstance(outcome, Heard):
                for stream_id, reason in outcome.stops.items():
                    self._told.add(stream_id)
                    self._on_stop(stream_id, reason)
        self._client.close()

    def _next(self) -> frozenset[bytes] | None:
        """Waits until there is something to say and it may be said; None at the end."""
        with self._changed:
            while not self._stopping:
                pause_s = self._plan.not_before - time.monotonic()
                if self._living and pause_s <= 0:
                    self._named = self._living
                    self._client.resume()
                    return self._named
                self._changed.wait(pause_s if self._living else None)
        return None

    def _beat(self, streams: frozenset[bytes]) -> Heard | Outcome:
        body: dict[str, object] = {
            "machine_id": self._machine_id,
            "streams": sorted(stream.hex() for stream in streams)[:STREAMS_MAX],
            "told": sorted(stream.hex() for stream in self._told & streams),
            "wait_s": WAIT_S,
        }
        if self._behind:
            body["behind"] = self._behind
        self._status = 0

        def heard(status: int, headers: Mapping[str, str], answer: bytes) -> Heard | Outcome:
            self._status = status
            return heard_of(status, headers, answer)

        return self._client.post_json("/api/v1/heartbeat", json.dumps(body).encode(), heard)


class Heartbeats:
    """The hearts of all servers. `live` is called by one thread."""

    def __init__(self, machine_id: str, credentials: Credentials, on_stop: OnStop) -> None:
        self._machine_id = machine_id
        self._credentials = credentials
        self._on_stop = on_stop
        self._hearts: dict[str, Heart] = {}

    def live(self, streams: Iterable[Stream]) -> None:
        """These streams have live writers now, and no others."""
        by_server: dict[str, set[bytes]] = defaultdict(set)
        behind: dict[str, dict[str, object]] = defaultdict(dict)
        for stream in streams:
            if stream.entry.base_url:
                by_server[stream.entry.base_url].add(stream.stream_id)
                mine = behind[stream.entry.base_url]
                if len(mine) < BEHIND_MAX and (told := stream.behind) is not None:
                    mine[stream.stream_id.hex()] = told
        for base_url in by_server.keys() - self._hearts.keys():
            self._hearts[base_url] = Heart(base_url, self._machine_id, self._credentials, self._on_stop)
        for base_url, heart in self._hearts.items():
            heart.live(frozenset(by_server.get(base_url, ())), behind.get(base_url, {}))

    def stop(self) -> None:
        """Ends all heartbeats."""
        for heart in self._hearts.values():
            heart.stop()
