"""Passes a request to stop on to the writers of a stream.

    at once      the bit in the spool's control word: the next log() interrupts its process
    after 1 s    SIGINT to a process that has not answered: it is in a long step
                 and the bit for workers that were forked: like Ctrl-C, but the process that started them hears it first

No worker gets a signal: it belongs to a program that decides itself what becomes of its workers at Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Iterable

from buoy_daemon.tail import Tail

ANSWER_S = 1.0
"""How long a writer may take to answer before its process gets a signal."""


class StopOrder:
    """How far a request has got. Used by the tail thread only."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self._asked: dict[bytes, float] = {}
        self._signalled: set[bytes] = set()

    def pass_on(self, tails: Iterable[Tail], now: float) -> int:
        """Does what is due; returns how many processes were asked for the first time, forked workers aside."""
        fresh = 0
        for tail in tails:
            if tail.source is None:
                continue
            fresh += tail.writer_id not in self._asked and not tail.entry.forked
            late = now - self._asked.setdefault(tail.writer_id, now) >= ANSWER_S
            if late or not tail.entry.forked:
                tail.source.request_stop()
            if late and not tail.entry.forked and tail.writer_id not in self._signalled:
                self._signalled.add(tail.writer_id)
                if not tail.source.stop_seen:
                    tail.source.interrupt()
        return fresh
