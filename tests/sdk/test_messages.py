"""What is said on the terminal."""

from __future__ import annotations

import io
import math
import sys

import pytest
from buoy.tracking.messages import Messages, duration, metric_lines, shown, sparkline


def test_sparkline() -> None:
    assert sparkline([]) == ""
    assert sparkline([1.0]) == "▁"
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([2, 2, 2]) == "▁▁▁"
    assert sparkline([0, math.nan, 7]) == "▁ █"
    assert sparkline([math.nan]) == ""
    assert sparkline([-1.7e308, 1.7e308]) == "▁█"
    assert len(sparkline([float(value) for value in range(64)])) == 40


def test_metric_lines_keep_to_ten() -> None:
    summary: dict[str, object] = {f"m{number:02}": number for number in range(12)}
    lines = metric_lines({**summary, "_hidden": 1}, {"m00": [1.0, 2.0]})
    assert len(lines) == 11
    assert lines[-1].strip() == "+2 more"
    assert "▁█" in lines[0]
    assert not any("_hidden" in line for line in lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (12345678, "12345678"),
        ({"min": 1.0}, "min=1"),
        ("x" * 50, "x" * 37 + "..."),
        (None, "None"),
    ],
)
def test_values(value: object, text: str) -> None:
    assert shown(value) == text


def test_durations() -> None:
    assert [duration(seconds) for seconds in (1.25, 59, 61, 3725)] == [
        "1.2 s",
        "59 s",
        "1 min 1 s",
        "1 h 2 min",
    ]


def test_trouble_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    messages = Messages(silent=True)
    messages.say("nothing")
    messages.warn_once("kind", "first")
    messages.warn_once("kind", "second")
    assert capfd.readouterr().err == "buoy: first\n"


def test_a_broken_terminal_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    for stream in (closed, None, narrow):
        monkeypatch.setattr(sys, "stderr", stream)
        Messages().warn("▁█")
    narrow.flush()
    assert b"buoy: ??" in narrow.buffer.getvalue()  # type: ignore[attr-defined]
