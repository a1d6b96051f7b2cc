"""Every value comes back exactly: write, read, block, decode. What cannot be logged is refused by name."""

from __future__ import annotations

import datetime
import enum
import math
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from buoy_core.block import KIND_DATA, ZERO_ID, build_block, open_block
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.core_cases import (
    EDGE_VALUES,
    STREAM_ID,
    Spool,
    decode_points,
    plain_values,
    same,
)


def through(spool: Spool) -> list[tuple[str, int, object]]:
    """Everything logged so far, by way of a block."""
    payload = spool.payload()
    count = len(spool.core.split_records(payload))
    block = build_block(
        KIND_DATA, payload, first_seq=0, records=count, stream_id=STREAM_ID, writer_id=ZERO_ID, time_us=1
    )
    return decode_points(spool.core, open_block(block)[1])


def test_edge_values_come_back(spool: Spool) -> None:
    for value in EDGE_VALUES:
        spool.writer.log({"key": value})
        assert same(spool.writer.last_values()["key"], value), value
    points = through(spool)
    assert len(points) == len(EDGE_VALUES)
    for (key, step, found), (index, value) in zip(points, enumerate(EDGE_VALUES), strict=True):
        assert (key, step) == ("key", index)
        assert same(found, value), (found, value)


@given(st.lists(plain_values, max_size=20))
@settings(max_examples=80, deadline=None)
def test_any_plain_value_comes_back(tmp_path_factory: pytest.TempPathFactory, values: list[object]) -> None:
    import buoy_core.compiled

    spool = Spool(buoy_core.compiled, tmp_path_factory.mktemp("spool"))
    for value in values:
        spool.writer.log({"key": value})
    found = [value for _, _, value in through(spool)]
    assert len(found) == len(values)
    assert all(same(a, b) for a, b in zip(found, values, strict=True))
    spool.writer.close()


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Number(float):
    pass


class Word(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


def a_function() -> None:
    pass


CONVERSIONS: list[tuple[object, object]] = [
    (np.float64(0.1), 0.1),
    (np.float32(0.1), 0.10000000149011612),
    (np.float16(0.1), 0.0999755859375),
    (np.longdouble("0.1"), 0.1),
    (np.float32("nan"), math.nan),
    (np.int8(-5), -5),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.int64(-(2**63)), -(2**63)),
    (np.bool_(True), True),
    (np.str_("text"), "text"),
    (np.array(2.5), 2.5),
    (np.array(7), 7),
    (np.array(True), True),
    (np.array([3.5]), 3.5),
    (np.array([1.5, 2.5], dtype=np.float32), [1.5, 2.5]),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array([]), []),
    (np.datetime64("2026-01-02T03:04:05"), "2026-01-02T03:04:05"),
    (np.timedelta64(1500, "ms"), 1.5),
    (Number(2.5), 2.5),
    (Word("word"), "word"),
    (Decimal("0.5"), 0.5),
    (Colour.RED, "RED"),
    (Level.HIGH, "HIGH"),
    (b"caf\xc3\xa9 \xff", "café \\xff"),
    ((1, 2.5), [1, 2.5]),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset("ba"), ["a", "b"]),
    ([(1, {"a": (2,)})], [[1, {"a": [2]}]]),
    ([{1: 2}], [{"1": 2}]),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), "2026-01-02T03:04:05+00:00"),
    (datetime.timedelta(milliseconds=1500), 1.5),
    (a_function, f"{__name__}.a_function"),
    (len, "builtins.len"),
]


@pytest.mark.parametrize(("value", "expected"), CONVERSIONS, ids=lambda value: repr(value)[:40])
def test_other_values_become_plain(spool: Spool, value: object, expected: object) -> None:
    for _ in range(3):  # the second time, types may be known
        spool.writer.log({"key": value})
        assert same(spool.writer.last_values()["key"], expected)
    assert all(same(found, expected) for _, _, found in through(spool))


def test_torch_tensors_with_and_without_gradient(spool: Spool) -> None:
    torch = pytest.importorskip("torch")
    spool.writer.log({"loss": torch.tensor(0.1, requires_grad=True)})
    spool.writer.log({"loss": torch.tensor(3)})
    spool.writer.log({"loss": torch.tensor([0.5], requires_grad=True)})
    spool.writer.log({"loss": torch.tensor(1.5, dtype=torch.bfloat16)})
    assert [value for _, _, value in through(spool)] == [0.10000000149011612, 3, 0.5, 1.5]


class LikeTensor:
    """What is asked of a tensor, for machines without torch: 0-d, and `float()` refuses as torch's does with grad."""

    dtype = "torch.float32"
    shape = ()
    requires_grad = True

    def item(self) -> float:
        return 0.25

    def __array__(self) -> None:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad")


def test_a_tensor_needs_only_item(spool: Spool) -> None:
    spool.writer.log({"loss": LikeTensor()})
    assert through(spool) == [("loss", 0, 0.25)]


def test_nested_dicts_are_flattened(spool: Spool) -> None:
    data = {"a": {"b": 1, "c": {"d": 2.5}}, "e": {}, "f": {"g": {}}, "a.b": 3}
    spool.writer.log(data)
    assert data == {"a": {"b": 1, "c": {"d": 2.5}}, "e": {}, "f": {"g": {}}, "a.b": 3}
    assert through(spool) == [("a.b", 0, 1), ("a.c.d", 0, 2.5), ("a.b", 0, 3)]
    spool.writer.log({"only": {"empty": {}}})
    assert spool.writer.step == 2
    assert len(through(spool)) == 3


class Opaque:
    pass


REFUSED: list[tuple[Any, str]] = [
    ([("a", 1)], "list"),
    (None, "NoneType"),
    ("text", "str"),
    ({1: 2.0}, "1"),
    ({"fine": 1, None: 2}, "None"),
    ({"": 1}, "empty"),
    ({"a": {"": 1}}, "'a.'"),
    ({"a": {2: 1}}, "2"),
    ({"k" * 4097: 1}, "4097 bytes"),
    ({"é" * 2049: 1}, "4098 bytes"),
    ({"a": {"é" * 2048: 1}}, "4098 bytes"),
    ({"fine": 1.0, "odd": Opaque()}, "'odd'.*Opaque"),
    ({"fine": 1.0, "odd": [1, Opaque()]}, "'odd'.*Opaque"),
    ({"odd": 1j}, "'odd'.*complex"),
    ({"odd": np.zeros(33)}, "'odd'.*33 elements"),
    ({"odd": SimpleNamespace()}, "'odd'.*SimpleNamespace"),
]


@pytest.mark.parametrize(("data", "message"), REFUSED)
def test_what_cannot_be_logged_is_refused_before_anything_is_written(
    spool: Spool, data: Any, message: str
) -> None:
    spool.writer.log({"fine": 0.0})
    before = spool.writer.committed
    with pytest.raises(TypeError, match=message):
        spool.writer.log(data)
    assert spool.writer.committed == before
    assert spool.writer.step == 1
    spool.writer.log({"fine": 2.0})
    assert through(spool) == [("fine", 0, 0.0), ("fine", 1, 2.0)]


def test_nesting_without_end_is_refused(spool: Spool) -> None:
    data: dict[str, Any] = {}
    data["self"] = data
    items: list[Any] = []
    items.append(items)
    for endless in (data, {"a": items}, {"a": [data]}):
        with pytest.raises(TypeError, match="deep"):
            spool.writer.log(endless)


def test_keys_may_be_almost_anything(spool: Spool) -> None:
    names = [
        "a",
        " ",
        "\0",
        "naïve ☃ 😀",
        "a/b.c",
        "k" * 4096,
        "é" * 2048,
        "\ud800x",
        "__class__",
        Word("word"),
    ]
    for name in names:
        spool.writer.log({name: 1.5})
        spool.writer.log({str.__str__(name): 1.5})
    expected = [*names[:7], "\\ud800x", "__class__", "word"]
    assert list(spool.writer.last_values()) == expected
    assert [key for key, _, _ in through(spool)] == [name for name in expected for _ in range(2)]


def test_two_keys_that_escape_to_one_name_share_it(spool: Spool) -> None:
    spool.writer.log({"\ud800": 1, "\\ud800": 2})
    assert through(spool) == [("\\ud800", 0, 1), ("\\ud800", 0, 2)]
    assert spool.writer.last_values() == {"\\ud800": 2}


def test_the_hook_converts_what_nobody_knows(spool: Spool) -> None:
    seen: list[tuple[str, object]] = []

    def convert(key: str, value: object) -> object:
        seen.append((key, value))
        return {"path": "media/x.png", "size": 3} if isinstance(value, Opaque) else 1j

    spool.writer.convert = convert
    opaque = Opaque()
    spool.writer.log({"image": opaque, "loss": 0.5})
    assert seen == [("image", opaque)]
    assert through(spool) == [("image.size", 0, 3), ("loss", 0, 0.5), ("image.path", 0, "media/x.png")]
    with pytest.raises(TypeError, match=r"'x'.*complex"):
        spool.writer.log({"x": 2j})


def test_a_mapping_that_is_no_dict_is_taken(core: ModuleType, tmp_path: Path) -> None:
    from collections import OrderedDict, UserDict

    spool = Spool(core, tmp_path / "spool")
    spool.writer.log(UserDict(a=1, b=UserDict(c=2.5)))
    spool.writer.log(OrderedDict(a=3))
    assert through(spool) == [("a", 0, 1), ("b.c", 0, 2.5), ("a", 1, 3)]


def test_conversion_that_changes_the_dict_is_survived(spool: Spool) -> None:
    data: dict[str, Any] = {}

    class Vandal:
        dtype = "float"
        shape = ()

        def item(self) -> float:
            data.clear()
            return 1.0

    data.update(a=0.5, b=Vandal(), c=2.5)
    spool.writer.log(data)
    assert through(spool) == [("a", 0, 0.5), ("b", 0, 1.0), ("c", 0, 2.5)]
