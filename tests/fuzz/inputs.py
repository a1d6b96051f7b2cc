"""Hypothesis strategies for foreign bytes: noise, and valid artefacts that something happened to."""

from __future__ import annotations

from struct import pack_into

from hypothesis import strategies as st

from tests.fuzz.targets import Target

BYTES_MAX = 1 << 15

_EXTREMES = (
    0, 1, 7, 127, 128, 255, 256, (1 << 16) - 1, (1 << 26) + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
    (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
)  # fmt: skip


def foreign(target: Target) -> st.SearchStrategy[bytes]:
    """Bytes for a target: checksums are put right in about half of the cases."""
    noise = st.binary(max_size=512)
    damaged = mutated(target)
    return st.one_of(
        noise, noise.map(target.repair), damaged, damaged.map(target.repair), damaged.map(target.repair)
    )


@st.composite
def mutated(draw: st.DrawFn, target: Target) -> bytes:
    """A seed after one to six accidents."""
    data = draw(st.sampled_from(target.seeds()))
    for _ in range(draw(st.integers(1, 6))):
        data = draw(_accident(data, target))[:BYTES_MAX]
    return data


@st.composite
def _accident(draw: st.DrawFn, data: bytes, target: Target) -> bytes:  # noqa: PLR0911 - a table
    at = draw(st.integers(0, max(len(data) - 1, 0)))
    kind = draw(st.sampled_from(("flip", "set", "cut", "delete", "repeat", "splice", "zero", "number")))
    if kind == "flip" and data:
        return data[:at] + bytes((data[at] ^ 1 << draw(st.integers(0, 7)),)) + data[at + 1 :]
    if kind == "set":
        new = draw(st.binary(min_size=1, max_size=16))
        return data[:at] + new + data[at + len(new) :]
    if kind == "cut":
        return data[:at]
    until = draw(st.integers(at, min(len(data), at + 256)))
    if kind == "delete":
        return data[:at] + data[until:]
    if kind == "repeat":
        return data[:until] + data[at:until] + data[until:]
    if kind == "zero":
        return data[:at] + bytes(until - at) + data[until:]
    if kind == "splice":
        other = draw(st.sampled_from(target.seeds()))
        begin = draw(st.integers(0, len(other)))
        return data[:at] + other[begin : begin + 512] + data[until:]
    return _with_number(data, at, draw(st.sampled_from(_EXTREMES)), draw(st.sampled_from("BHIQ")))


def _with_number(data: bytes, at: int, number: int, code: str) -> bytes:
    """Lengths and offsets are where readers believe too much."""
    size = {"B": 1, "H": 2, "I": 4, "Q": 8}[code]
    # Fields of headers are aligned; varints and text are not.
    at -= at % size if at % 3 else 0
    if at + size > len(data):
        return data
    out = bytearray(data)
    pack_into(f"<{code}", out, at, number % (1 << 8 * size))
    return bytes(out)
