"""What of a writer is not on the server yet: how much, and whether for long enough to be told. No clock, no I/O.

A stream's log holds the blocks of all its writers interleaved, and the server answers with a sequence of the stream. So
each writer keeps a few waymarks: up to this sequence, the log has this offset of my spool.
"""

from __future__ import annotations

from dataclasses import dataclass

_MARKS_MAX = 64

LATE_S = 5.0
"""What was recorded so long ago and has not arrived is a backlog; what is on its way is none."""


class Waymarks:
    """Offsets of one writer's spool by sequences of the log, few however long the server is away.

    Written by the tail thread; any thread may read. In between two marks offsets are interpolated: with a large
    backlog, what it amounts to is known to a few percent; that there is none is exact.
    """

    def __init__(self) -> None:
        self._marks: tuple[tuple[int, int], ...] = ((0, 0),)

    def note(self, seq: int, offset: int, acked_seq: int) -> None:
        """Below `seq` the log has everything up to `offset`; the server has everything below `acked_seq`."""
        marks = self._marks
        while len(marks) > 1 and marks[1][0] <= acked_seq:
            marks = marks[1:]
        if len(marks) >= _MARKS_MAX:
            marks = (*marks[:-1:2], marks[-1])
        self._marks = (*marks, (seq, offset))

    def restart(self, seq: int, offset: int) -> None:
        """The log was opened again and ends here."""
        kept = tuple(mark for mark in self._marks if mark[0] < seq and mark[1] <= offset)
        self._marks = (*(kept or ((0, 0),)), (seq, offset))

    def offset_at(self, seq: int) -> int:
        """Up to which offset a server has the records that has everything below `seq`."""
        marks = self._marks
        if seq >= marks[-1][0]:
            return marks[-1][1]
        after = next(number for number, mark in enumerate(marks) if mark[0] > seq)
        if after == 0:
            return marks[0][1]
        (seq_a, offset_a), (seq_b, offset_b) = marks[after - 1], marks[after]
        return offset_a + (offset_b - offset_a) * (seq - seq_a) // (seq_b - seq_a)


@dataclass
class Lateness:
    """Whether a stream has a backlog that is worth telling. Asked about once a second."""

    late: bool = False
    _mark: tuple[float, int, int] | None = None

    def look(self, now: float, *, recorded: int, logged: int, next_seq: int, acked_seq: int) -> bool:
        """Takes in how far the stream is.

        Args:
            now: Seconds of a clock that only goes forward.
            recorded: Bytes that all writers have handed over.
            logged: Those of them that are in the log.
            next_seq: The log's next sequence.
            acked_seq: The server's.
        """
        if self._mark is not None:
            at, recorded_then, seq_then = self._mark
            if logged < recorded_then or acked_seq < seq_then:
                self.late = self.late or now - at >= LATE_S
                return self.late
        self.late = False
        self._mark = now, recorded, next_seq
        return False
