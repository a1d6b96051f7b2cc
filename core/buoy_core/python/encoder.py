"""Encodes records by hand, byte for byte as the compiled core does and as the official protobuf runtime would."""

from __future__ import annotations

from struct import pack

from buoy_core.format import TAG_KEY, TAG_ROW, encode_varint


def encode_key_def(key_id: int, name: bytes) -> bytes:
    """A Record with a KeyDef."""
    body = (b"\x08" + encode_varint(key_id) if key_id else b"") + b"\x12" + encode_varint(len(name)) + name
    return bytes((TAG_KEY,)) + encode_varint(len(body)) + body


def encode_row(step: int, time_us: int, slots: list[int], values: list[float], others: list[bytes]) -> bytes:
    """A Record with a Row.

    Args:
        step: within 64 bits.
        time_us: not negative.
        slots: key id << 1 | integer, for each of `values`.
        values: float64.
        others: encoded `Value` messages.
    """
    body = bytearray()
    if step:
        body += b"\x08" + encode_varint(step << 1 if step >= 0 else ~(step << 1))
    if time_us:
        body += b"\x10" + encode_varint(time_us)
    if slots:
        packed = b"".join([encode_varint(slot) for slot in slots])
        body += b"\x1a" + encode_varint(len(packed)) + packed
        body += b"\x22" + encode_varint(8 * len(values)) + pack(f"<{len(values)}d", *values)
    for other in others:
        body += b"\x2a" + encode_varint(len(other)) + other
    return bytes((TAG_ROW,)) + encode_varint(len(body)) + bytes(body)
