"""When the count of a writer's dropped records goes into the log."""

from __future__ import annotations

from buoy_daemon.drops import Drops, drop_records
from buoy_proto import v1


def looks(drops: Drops, counts: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """The looks, of all (time, count), at which the log took the count."""
    taken = []
    for now, count in counts:
        if drops.look(count, now):
            drops.took(now)
            taken.append((now, count))
    return taken


def test_nothing_is_said_of_nothing() -> None:
    assert looks(Drops(), [(float(now), 0) for now in range(100)]) == []


def test_a_short_spell_is_logged_at_once_and_at_its_end() -> None:
    assert looks(Drops(), [(1.0, 0), (2.0, 5), (3.0, 9), (4.0, 9), (5.0, 9)]) == [(2.0, 5), (4.0, 9)]


def test_a_long_spell_is_logged_ever_more_rarely_and_then_exactly() -> None:
    drops = Drops()
    taken = looks(drops, [(float(now), 10 * min(now, 10_000)) for now in range(1, 10_010)])
    assert [now for now, _ in taken[:6]] == [1, 3, 7, 15, 31, 61]
    assert len(taken) < 10_000 / 29
    assert taken[-1] == (10_001.0, 100_000)


def test_a_log_that_was_opened_again_gets_the_count_again() -> None:
    drops = Drops()
    assert looks(drops, [(1.0, 5)]) == [(1.0, 5)]
    drops.forget()
    assert looks(drops, [(2.0, 5), (3.0, 5)]) == [(2.0, 5)]


def test_only_the_beginning_of_a_spell_is_an_event() -> None:
    def kinds(drops: Drops) -> list[str | None]:
        found = drop_records(drops, bytes(16), rank=3, host="node7", time_us=1)
        return [v1.Record.FromString(data).WhichOneof("kind") for data in found]

    drops = Drops()
    assert drops.look(5, 1.0)
    assert kinds(drops) == ["writer_drops", "event"]
    drops.took(1.0)
    assert drops.look(6, 100.0)
    assert kinds(drops) == ["writer_drops"]
    drops.took(100.0)
    assert drops.look(7, 5000.0)
    assert kinds(drops) == ["writer_drops", "event"]
