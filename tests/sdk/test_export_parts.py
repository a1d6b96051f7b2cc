"""The parts of the export by themselves: batches, sorting, column types."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from buoy.export import sorting
from buoy.export.batch import Batch, Row, batches
from buoy.export.columns import Kind, column_names
from buoy.export.facts import Facts
from buoy.export.fragments import Fragment
from buoy.export.stage import Stage
from buoy.export.target import file_of
from hypothesis import given, settings
from hypothesis import strategies as st

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 80), 1 << 80), st.floats(allow_nan=False),
    st.text('aü\u2028\n"\ud800', max_size=3), st.lists(st.integers(0, 9), max_size=2),
)  # fmt: skip
ROWS = st.lists(
    st.builds(
        Row,
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(0, 1 << 51),
        st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), VALUES, min_size=1),
    ),
    max_size=30,
)


def unbatched(found: list[Batch]) -> list[Row]:
    return [
        Row(step, attempt, rank, time_us, values)
        for batch in found
        for step, attempt, rank, time_us, values in zip(
            batch.step, batch.attempt, batch.rank, batch.time_us, batch.rows(), strict=True
        )
    ]


@settings(deadline=None)
@given(ROWS, st.integers(1, 5), st.integers(0, 30))
def test_batches_hold_rows(rows: list[Row], size: int, cut: int) -> None:
    """Whatever is done with them: packed, joined, cut into pieces."""
    whole = list(batches(rows, ranks=True))
    assert unbatched(whole) == rows
    assert unbatched([Batch.unpack(batch.pack()) for batch in whole]) == rows
    joined = Batch()
    for part in (rows[:cut], rows[cut:]):
        for batch in batches(part, ranks=True):
            joined.extend(batch)
    assert unbatched([joined]) == rows
    assert unbatched(list(joined.parts(size))) == rows
    assert sum(batch.points for batch in joined.parts(size)) == sum(len(row.values) for row in rows)


@settings(deadline=None)
@given(ROWS)
def test_the_stage_gives_back_what_it_took(rows: list[Row]) -> None:
    with Stage(None) as stage:
        for batch in batches(rows, ranks=True):
            stage.add(batch)
        assert (stage.rows, stage.points) == (len(rows), sum(len(row.values) for row in rows))
        assert unbatched(list(stage.batches())) == rows


@pytest.mark.parametrize("held", [1, 7, 1000])
def test_sorting_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(sorting, "VALUES_MAX", held)
    monkeypatch.setattr(sorting, "_CHUNK", 3)
    fragments = [
        Fragment((number * 7919) % 101, number % 3, number % 2, number, number, {"a": number})
        for number in range(500)
    ]
    assert list(sorting.in_order(fragments, tmp_path)) == sorted(fragments, key=lambda fragment: fragment[:4])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([0.5, math.nan, None], "float"),
        ([1, 2.5], "float"),
        ([1 << 53, 2.5], "float"),
        # A double would not hold it, and the column has one type for all.
        ([(1 << 53) + 1, 2.5], "json"),
        ([1, -(1 << 63), (1 << 63) - 1, None], "int"),
        ([1 << 63], "json"),
        ([True, False, None], "bool"),
        ([True, 1], "json"),
        (["a", ""], "text"),
        (["a", "\udc80"], "json"),
        (["a", 1], "json"),
        ([[1]], "json"),
        ([None], "null"),
        ([], "null"),
    ],
)
def test_types_of_columns(values: list[Any], form: str) -> None:
    for order in (values, values[::-1]):
        kind = Kind()
        for value in order:
            kind.add([value])
        assert kind.form == form
    together = Kind()
    together.add(values)
    assert (together.form, together.has_none) == (form, None in values)


def test_names_of_columns() -> None:
    assert column_names(["b", "_step", "a", "_x"]) == {
        "_step": "logged._step",
        "_x": "_x",
        "a": "a",
        "b": "b",
    }
    assert column_names(["_none", "logged._none"])["_none"] == "logged._none_"


def test_files_stay_in_their_folder(tmp_path: Path) -> None:
    """Names of runs are free text, and files are not."""
    seen = set()
    for name in (
        "a",
        "A",
        "..",
        ".",
        "",
        "a/b",
        "a%2Fb",
        "a\x00",
        "x" * 250,
        "x" * 249 + "y",
        "ü" * 200,
        "run 1",
    ):
        path = file_of(tmp_path, "history", Facts(entity="local", project=name, id=name), "csv")
        assert path.resolve().relative_to(tmp_path / "history" / "local").parts[1:]
        assert len(path.name.encode()) < 220
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name.replace("\x00", ""))
        seen.add(path)
    assert len(seen) == 12
