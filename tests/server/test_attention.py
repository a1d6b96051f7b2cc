"""When silence counts, without a clock."""

from __future__ import annotations

from buoy_server.liveness.attention import Attention

S = 1_000_000
DAY = 86_400 * S


def ticking(attention: Attention, begin_s: int, end_s: int, *, wall_s: int = 1_000_000) -> int:
    """A tick each second; gives the wall clock at the end."""
    for second in range(begin_s, end_s + 1):
        attention.tick((wall_s + second) * S, second * S)
    return (wall_s + end_s) * S


def test_nobody_is_missed_before_the_server_has_listened_for_the_grace() -> None:
    attention = Attention(180)
    now = ticking(attention, 0, 179)
    assert attention.limit_us(now) is None
    now = ticking(attention, 180, 180)
    assert attention.limit_us(now) == now - 180 * S


def test_before_the_first_tick_nobody_is_missed() -> None:
    assert Attention(180).limit_us(DAY) is None


def test_a_server_that_was_stopped_or_asleep_gives_everybody_their_grace_again() -> None:
    attention = Attention(180)
    ticking(attention, 0, 1000)
    now = ticking(attention, 1060, 1061)
    assert attention.limit_us(now) is None
    now = ticking(attention, 1062, 1060 + 180)
    assert attention.limit_us(now) == now - 180 * S


def test_a_short_pause_is_no_break() -> None:
    attention = Attention(180)
    ticking(attention, 0, 1000)
    now = ticking(attention, 1020, 1021)
    assert attention.limit_us(now) == now - 180 * S


def test_setting_the_servers_clock_makes_nobody_missing() -> None:
    for jump_s in (3600, -3600):
        attention = Attention(180)
        ticking(attention, 0, 1000)
        now = ticking(attention, 1001, 1002, wall_s=1_000_000 + jump_s)
        assert attention.limit_us(now) is None
        now = ticking(attention, 1003, 1300, wall_s=1_000_000 + jump_s)
        assert attention.limit_us(now) == now - 180 * S


def test_what_could_not_be_noted_is_nobodys_fault() -> None:
    attention = Attention(180)
    now = ticking(attention, 0, 1000)
    attention.lost()
    assert attention.limit_us(now) is None
    now = ticking(attention, 1001, 1180)
    assert attention.limit_us(now) is None
