"""`buoy status` with one process and with a thousand: what is in trouble comes first, the rest in few lines."""

from __future__ import annotations

import io
import random

from buoy.cli.status import _table, ago, size
from buoy.writers import Writer, by_trouble, collapsed, in_trouble
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

S = 1_000_000
NOW = 1_700_000_000 * S


def writer(
    rank: int, state: str = "running", *, silent_s: float = 1, dropped: int = 0, **more: object
) -> Writer:
    facts: dict[str, object] = {
        "rank": rank, "local_rank": rank % 8, "node": f"node{rank // 8}", "pid": 1000 + rank, "state": state,
        "alive": state == "running", "last_step": 100 + rank, "last_row_us": NOW - round(silent_s * S),
        "backlog_bytes": 0, "records_dropped": dropped, "forked": False,
    } | more  # fmt: skip
    return Writer(**facts)  # type: ignore[arg-type]


def test_the_worst_first_then_by_rank() -> None:
    writers = [writer(rank) for rank in range(64)]
    writers[9] = writer(9, "crashed")
    writers[30] = writer(30, dropped=7)
    writers[5] = writer(5, silent_s=100)
    random.Random(1).shuffle(writers)
    ordered = by_trouble(writers, NOW)
    assert [item.rank for item in ordered[:6]] == [9, 30, 5, 0, 1, 2]
    assert [item.rank for item in in_trouble(ordered, NOW)] == [9, 30, 5]


def test_what_all_share_is_no_trouble() -> None:
    """Ranks that ended together, or all wait for one: the run's own line says it."""
    assert in_trouble([writer(rank, "crashed") for rank in range(8)], NOW) == []
    assert in_trouble([writer(rank, silent_s=900) for rank in range(8)], NOW) == []
    workers = [writer(0), writer(0, "crashed", forked=True)]
    assert in_trouble(workers, NOW) == []


def test_a_thousand_in_few_lines() -> None:
    writers = [writer(rank, backlog_bytes=1024) for rank in range(1024)]
    writers[1000] = writer(1000, "failed")
    lines = collapsed(writers, NOW)
    assert len(lines) == 129
    assert sum(line.count for line in lines) == 1024
    (failed,) = [line for line in lines if line.state == "failed"]
    assert (failed.node, failed.count, failed.steps) == ("node125", 1, (1100, 1100))
    assert sum(line.backlog_bytes for line in lines) == 1023 * 1024


def test_a_row_says_everything() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(_table([writer(3, "crashed", silent_s=300, backlog_bytes=3 << 20, last_step=12345)], NOW))
    heading, row = [line.split() for line in console.export_text().splitlines()]
    assert heading == ["rank", "local", "node", "pid", "state", "last", "step", "last", "row", "backlog"]
    assert row == ["3", "3", "node0", "1003", "crashed", "12,345", "5", "min", "ago", "3.0", "MiB"]


def test_words() -> None:
    assert [ago(time_us, NOW) for time_us in (0, NOW, NOW - 90 * S, NOW - 7200 * S, NOW + S)] == [
        "-", "0 s ago", "90 s ago", "2 h ago", "0 s ago",
    ]  # fmt: skip
    assert [size(count) for count in (0, 1, 2048, 5 << 30)] == ["-", "1 B", "2.0 KiB", "5.0 GiB"]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["running", "failed", "finished"]), st.booleans()))
)
def test_nobody_is_left_out(made: list[tuple[int, str, bool]]) -> None:
    writers = [writer(rank, state, silent_s=100 if silent else 1) for rank, state, silent in made]
    assert sorted(map(repr, by_trouble(writers, NOW))) == sorted(map(repr, writers))
    assert sum(line.count for line in collapsed(writers, NOW)) == len(writers)
