"""The uploader's decisions, with made-up time and chance."""

from __future__ import annotations

import random

import pytest
from buoy_daemon.uploader.plan import (
    BUSY_FIRST_S,
    BUSY_MAX_S,
    DELETED,
    REFUSED_MAX_S,
    RETRY_AFTER_MAX_S,
    TROUBLE_FIRST_S,
    TROUBLE_MAX_S,
    Busy,
    Gap,
    Refused,
    ServerPlan,
    Stored,
    StreamPlan,
    TooLarge,
    Trouble,
    outcome_of,
    pause_s,
    state_of,
)

OUTCOMES = [
    (200, {}, b'{"next_seq": 7}', Stored(7)),
    (200, {}, b'{"next_seq": -1}', Trouble("the server's answer makes no sense")),
    (200, {}, b'{"next_seq": true}', Trouble("the server's answer makes no sense")),
    (200, {}, b'{"next_seq": 1.5}', Trouble("the server's answer makes no sense")),
    (200, {}, b"[]", Trouble("the server's answer makes no sense")),
    (200, {}, b"", Trouble("the server's answer makes no sense")),
    (200, {}, b"\xff\xfe", Trouble("the server's answer makes no sense")),
    (204, {}, b"", Trouble("HTTP 204")),
    (302, {}, b"", Trouble("HTTP 302")),
    (400, {}, b'{"title": "bad", "detail": "why"}', Refused("HTTP 400: why")),
    (401, {}, b"{}", Refused("HTTP 401")),
    (403, {}, b"<html>", Refused("HTTP 403")),
    (404, {}, b'{"title": "no such page"}', Refused("HTTP 404: no such page")),
    (408, {}, b"", Trouble("HTTP 408")),
    (409, {}, b'{"next_seq": 3}', Gap(3)),
    (409, {}, b"{}", Gap(None)),
    (413, {}, b'{"code": "too_large"}', TooLarge("HTTP 413: too_large")),
    (429, {"retry-after": "2.5"}, b"", Busy("HTTP 429", 2.5)),
    (503, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"", Busy("HTTP 503", None)),
    (503, {"retry-after": "-5"}, b"", Busy("HTTP 503", 0.0)),
    (503, {"retry-after": "1e9"}, b"", Busy("HTTP 503", RETRY_AFTER_MAX_S)),
    (503, {"retry-after": "nan"}, b"", Busy("HTTP 503", None)),
    (500, {}, b"", Trouble("HTTP 500")),
]


@pytest.mark.parametrize(("status", "headers", "body", "outcome"), OUTCOMES)
def test_what_an_answer_means(status, headers, body, outcome):
    assert outcome_of(status, headers, body) == outcome


def test_pauses_grow_to_a_limit_with_full_jitter():
    rng = random.Random(1)
    for failures in range(1, 60):
        limit = min(TROUBLE_MAX_S, TROUBLE_FIRST_S * 2 ** (failures - 1))
        pauses = [pause_s(failures, TROUBLE_FIRST_S, TROUBLE_MAX_S, rng.random()) for _ in range(200)]
        assert all(limit * 0.1 <= pause <= limit for pause in pauses)
        assert max(pauses) - min(pauses) > limit / 2
    assert pause_s(10**6, 1, 60, 0.999) <= 60


def test_a_stream_asks_then_sends_then_rests():
    plan = StreamPlan()
    assert plan.action(10, 0.0) == "ask"
    plan.apply(Stored(4), 0.0, 0.5)
    assert plan.acked_seq == 4
    assert plan.action(10, 0.0) == "send"
    plan.apply(Stored(10), 1.0, 0.5, blocks=2)
    assert (plan.acked_seq, plan.action(10, 1.0), plan.action(11, 1.0)) == (10, None, "send")


def test_only_an_answer_moves_the_acknowledged_sequence():
    plan = StreamPlan(next_seq=4, acked_seq=4)
    for outcome in (Trouble(""), Busy("", None), TooLarge(""), Refused(""), Gap(9)):
        plan.apply(outcome, 0.0, 0.5, blocks=3)
        assert plan.acked_seq == 4


def test_a_gap_sends_the_stream_back():
    plan = StreamPlan(next_seq=8)
    plan.apply(Gap(2), 0.0, 0.5, blocks=1)
    assert (plan.next_seq, plan.action(10, 0.0)) == (2, "send")
    plan.apply(Gap(None), 0.0, 0.5, blocks=1)
    assert plan.action(10, 0.0) == "ask"


@pytest.mark.parametrize("outcome", [Gap(5), Stored(5)])
def test_a_server_that_goes_round_in_circles_is_slowed_down(outcome):
    plan = StreamPlan(next_seq=5)
    now = 0.0
    requests = 0
    while now < 600:
        if plan.action(10, now):
            requests += 1
            plan.apply(outcome, now, 0.5, blocks=1)
        now += 0.1
    assert requests < 40
    assert plan.refused


def test_too_large_bodies_are_halved_down_to_one_block():
    plan = StreamPlan(next_seq=0)
    sizes = []
    blocks = 100
    while not plan.refused:
        sizes.append(blocks)
        plan.apply(TooLarge("413"), 0.0, 0.5, blocks=blocks)
        blocks = plan.blocks_max or blocks
    assert sizes == [100, 50, 25, 12, 6, 3, 1]
    assert plan.not_before > 0


def test_trouble_makes_bodies_smaller_until_one_is_taken():
    plan = StreamPlan(next_seq=0)
    plan.apply(Trouble("reset"), 0.0, 0.5, blocks=9)
    assert plan.blocks_limit == 4
    plan.apply(TooLarge("413"), 0.0, 0.5, blocks=4)
    assert plan.blocks_limit == 2
    plan.apply(Trouble("reset"), 0.0, 0.5, blocks=2)
    assert plan.blocks_limit == 1
    plan.apply(Stored(1), 0.0, 0.5, blocks=1)
    assert plan.blocks_limit == 2


def test_a_refused_stream_tries_slowly_and_recovers():
    plan, server = StreamPlan(next_seq=0), ServerPlan()
    for attempt in range(20):
        plan.apply(Refused("HTTP 401"), 100.0 * attempt, 1.0, blocks=1)
        assert plan.action(5, 100.0 * attempt + 1.9) is None
        assert plan.not_before <= 100.0 * attempt + REFUSED_MAX_S
    assert state_of(plan, server, 5) == "refused"
    plan.hurry()
    assert plan.action(5, 0.0) == "send"
    plan.apply(Stored(5), 2000.0, 1.0, blocks=1)
    assert state_of(plan, server, 5) == "idle"
    assert plan.error == ""


def test_trouble_holds_up_the_server_and_busy_is_obeyed():
    server = ServerPlan()
    server.apply(Trouble("refused"), 10.0, 1.0)
    assert (server.answered, server.not_before) == (False, 10.0 + TROUBLE_FIRST_S)
    server.apply(Busy("429", 30.0), 11.0, 0.0)
    assert server.answered
    assert server.not_before >= 41.0
    server.answers()
    assert server.not_before >= 41.0, "a probe must not override the server's wish"
    server.apply(Busy("503", None), 50.0, 1.0)
    assert server.not_before <= 50.0 + BUSY_MAX_S
    server.apply(Stored(1), 60.0, 0.0)
    assert (server.failures, server.not_before, server.error) == (0, 60.0, "")


def test_the_first_busy_answer_after_an_outage_does_not_mean_a_minute():
    """What stands before a server that starts again says 503. The pause was as long as if it had said so ten times."""
    server = ServerPlan()
    for _ in range(10):
        server.apply(Trouble("refused"), 10.0, 1.0)
    server.apply(Busy("503", None), 20.0, 1.0)
    assert server.not_before == 20.0 + BUSY_FIRST_S
    server.apply(Busy("503", None), 30.0, 1.0)
    assert server.not_before == 30.0 + 2 * BUSY_FIRST_S


def test_a_probe_ends_the_pause_of_an_unreachable_server():
    server = ServerPlan()
    for _ in range(10):
        server.apply(Trouble("refused"), 10.0, 1.0)
    server.answers()
    assert server.not_before < 10.0


def test_the_word_for_status():
    server = ServerPlan()
    assert state_of(StreamPlan(), server, 0) == "sending"
    assert state_of(StreamPlan(next_seq=3), server, 4) == "sending"
    assert state_of(StreamPlan(next_seq=4), server, 4) == "idle"
    server.apply(Trouble("gone"), 0.0, 0.5)
    assert state_of(StreamPlan(next_seq=4), server, 4) == "unreachable"


def test_what_goes_to_a_deleted_run_is_stored_and_said() -> None:
    plan = StreamPlan(next_seq=0)
    plan.apply(outcome_of(200, {}, b'{"next_seq": 5, "deleted": true}'), 0.0, 0.5, blocks=1)
    assert (plan.acked_seq, plan.error, plan.refused) == (5, DELETED, False)
    plan.apply(outcome_of(200, {}, b'{"next_seq": 9}'), 0.0, 0.5, blocks=1)
    assert (plan.acked_seq, plan.error) == (9, "")
