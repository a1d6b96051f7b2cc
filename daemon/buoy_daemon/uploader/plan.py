"""What to send next, and when: decisions without clocks, files or sockets.

Time comes in as seconds of any clock that only goes forward, randomness as numbers in [0, 1). The server's answer is
the only truth about what has arrived: `next_seq` is what it said last, or None when it has to be asked.

Two things can be in trouble, and each has pauses of its own: a server that does not answer holds up all of
its streams, and is tried by one of them; a stream that the server refuses holds up nobody else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

BODY_BYTES_MAX = 4 << 20
"""A body is cut before it gets larger than this, unless its first block alone is."""

TROUBLE_FIRST_S, TROUBLE_MAX_S = 0.25, 10.0
"""Pauses of a server that does not answer, or not sensibly. Asking costs little, and whoever starts a server
wants to see the runs appear."""

BUSY_FIRST_S, BUSY_MAX_S = 0.5, 60.0
"""Pauses of a server that says that it is busy, without saying for how long."""

RETRY_AFTER_MAX_S = 600.0
"""A longer Retry-After is not believed."""

REFUSED_FIRST_S, REFUSED_MAX_S = 2.0, 60.0
"""Pauses of a stream that the server does not want: a person has to do something first."""

DELETED = "the run is deleted on the server: it is hidden there until `buoy restore` brings it back"
"""What Status says of a stream whose run somebody has deleted, so that nobody waits for it to appear."""

State = Literal["idle", "sending", "unreachable", "refused"]


@dataclass(frozen=True)
class Stored:
    """200: everything below `next_seq` is on the server; nobody is shown it if the run is deleted."""

    next_seq: int
    deleted: bool = False


@dataclass(frozen=True)
class Gap:
    """409: the server expects another sequence; None if it does not say which."""

    next_seq: int | None


@dataclass(frozen=True)
class TooLarge:
    """413."""

    text: str


@dataclass(frozen=True)
class Refused:
    """400, 401, 403 and the like: the same request will be refused again."""

    text: str


@dataclass(frozen=True)
class Busy:
    """429 or 503, with the seconds of Retry-After."""

    text: str
    retry_after_s: float | None


@dataclass(frozen=True)
class Trouble:
    """No answer, 5xx, or an answer that makes no sense."""

    text: str


Outcome = Stored | Gap | TooLarge | Refused | Busy | Trouble


def outcome_of(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """What an HTTP answer means (docs/format.md section 5).

    Args:
        status: The HTTP status.
        headers: Names in lower case.
        body: What came with it.
    """
    answer = _json_object(body)
    text = _reason(status, answer)
    if status == 200:
        return _stored_of(answer)
    if status == 409:
        return Gap(_sequence(answer))
    if status == 413:
        return TooLarge(text)
    if status in (429, 503):
        return Busy(text, _retry_after(headers.get("retry-after")))
    if 400 <= status < 500 and status != 408:
        return Refused(text)
    return Trouble(text)


def _stored_of(answer: dict[str, object]) -> Stored | Trouble:
    next_seq = _sequence(answer)
    if next_seq is None:
        return Trouble("the server's answer makes no sense")
    return Stored(next_seq, deleted=answer.get("deleted") is True)


def _json_object(body: bytes) -> dict[str, object]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _sequence(answer: dict[str, object]) -> int | None:
    value = answer.get("next_seq")
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _reason(status: int, answer: dict[str, object]) -> str:
    said = answer.get("detail") or answer.get("title") or answer.get("code")
    return f"HTTP {status}: {said}" if said else f"HTTP {status}"


def _retry_after(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None  # An HTTP date needs a clock that is right; our own pauses do as well.
    return None if math.isnan(seconds) else min(max(0.0, seconds), RETRY_AFTER_MAX_S)


def pause_s(failures: int, first_s: float, max_s: float, chance: float) -> float:
    """Full jitter: anything up to a limit that doubles with each failure.

    The lower tenth is left out, so that no chance makes a busy loop.
    """
    limit = min(max_s, first_s * 2.0 ** min(failures - 1, 32))
    return limit * (0.1 + 0.9 * chance)


@dataclass
class ServerPlan:
    """How it goes with one server."""

    failures: int = 0
    not_before: float = float("-inf")
    answered: bool | None = None
    answered_at: float = float("-inf")
    error: str = ""
    busy: bool = False
    """Whether the pause is the server's wish."""

    def apply(self, outcome: Outcome, now: float, chance: float) -> None:
        """Takes in how a request went."""
        same = self.busy == isinstance(outcome, Busy)
        self.busy = isinstance(outcome, Busy)
        self.answered = not isinstance(outcome, Trouble)
        self.answered_at = now
        if isinstance(outcome, Trouble | Busy):
            # Each kind has pauses of its own: a server that is busy after an outage is so for the first time.
            self.failures = self.failures + 1 if same else 1
            self.error = outcome.text
            self.not_before = now + _server_pause_s(outcome, self.failures, chance)
        else:
            self.failures = 0
            self.error = ""
            self.not_before = now

    def answers(self) -> None:
        """A probe has found the server answering: no need to wait any longer, unless it has asked for that."""
        if not self.busy:
            self.failures = 0
            self.not_before = float("-inf")
            self.error = ""


def _server_pause_s(outcome: Trouble | Busy, failures: int, chance: float) -> float:
    if isinstance(outcome, Trouble):
        return pause_s(failures, TROUBLE_FIRST_S, TROUBLE_MAX_S, chance)
    if outcome.retry_after_s is None:
        return pause_s(failures, BUSY_FIRST_S, BUSY_MAX_S, chance)
    # Not all clients at the same instant.
    return outcome.retry_after_s * (1.0 + 0.25 * chance) + 0.05


@dataclass
class StreamPlan:
    """How far one stream has been sent."""

    next_seq: int | None = None
    blocks_max: int | None = None
    """How many blocks a body may have, since the server found one too large; None = by BODY_BYTES_MAX alone."""
    blocks_now: int | None = None
    """The same while there is trouble: a server that cuts the connection may mean that the body is too large."""
    failures: int = 0
    not_before: float = float("-inf")
    refused: bool = False
    error: str = ""
    acked_seq: int = field(default=0)

    def action(self, end_seq: int, now: float) -> Literal["ask", "send"] | None:
        """What to do now, the log reaching up to `end_seq`."""
        if now < self.not_before:
            return None
        if self.next_seq is None:
            return "ask"
        return "send" if self.next_seq < end_seq else None

    def apply(self, outcome: Outcome, now: float, chance: float, *, blocks: int = 0) -> None:
        """Takes in how a request went.

        Args:
            outcome: The server's answer.
            now: Present time.
            chance: For the pause.
            blocks: How many blocks were sent; 0 = the server was only asked.
        """
        if isinstance(outcome, Stored):
            self._stored(outcome, now, chance, sent=blocks > 0)
        elif isinstance(outcome, Gap):
            moved = outcome.next_seq != self.next_seq
            self.next_seq = outcome.next_seq
            if not moved:
                self._refuse("the server contradicts itself about the sequence it expects", now, chance)
        elif isinstance(outcome, TooLarge) and blocks > 1:
            self.blocks_max = blocks // 2
        elif isinstance(outcome, TooLarge | Refused):
            self._refuse(outcome.text, now, chance)
        elif isinstance(outcome, Trouble):
            # What became of the request is unknown, but sending it again does no harm: the server knows each block.
            self.error = outcome.text
            self.blocks_now = max(1, blocks // 2) if blocks else self.blocks_now
        else:
            self.error = outcome.text

    def _stored(self, outcome: Stored, now: float, chance: float, *, sent: bool) -> None:
        next_seq = outcome.next_seq
        if sent and next_seq == self.next_seq:
            self._refuse("the server takes the blocks but does not store them", now, chance)
            return
        self.next_seq = self.acked_seq = next_seq
        self.failures = 0
        self.refused = False
        if sent:
            self.error = DELETED if outcome.deleted else ""
            self.blocks_now = None
        self.not_before = now

    def _refuse(self, text: str, now: float, chance: float) -> None:
        self.failures += 1
        self.refused = True
        self.error = text
        self.not_before = now + pause_s(self.failures, REFUSED_FIRST_S, REFUSED_MAX_S, chance)

    @property
    def blocks_limit(self) -> int | None:
        """Most blocks in the next body."""
        return min(filter(None, (self.blocks_max, self.blocks_now)), default=None)

    def hurry(self) -> None:
        """Something has changed (a new key, say): no need to wait any longer."""
        self.not_before = float("-inf")


def state_of(stream: StreamPlan, server: ServerPlan, end_seq: int) -> State:
    """The word for Status."""
    if stream.refused:
        return "refused"
    if server.failures:
        return "unreachable"
    return "sending" if stream.next_seq is None or stream.next_seq < end_seq else "idle"
