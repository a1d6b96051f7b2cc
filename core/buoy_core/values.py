"""What people log besides plain floats and ints, and how it becomes something that a record can hold.

Everything here may run code of the caller (`__float__`, `item()`, iteration), so writers call it before they touch a
record. The result is always one of: float, int, bool, str, None, or a list of such and of dicts with str keys, of
exactly these types and owned by nobody else.
"""

from __future__ import annotations

import contextlib
import datetime
import enum
import json
import operator
from collections.abc import Callable, Mapping

from buoy_core.format import EXACT_INT_MAX, KEY_BYTES_MAX, STEP_MAX, STEP_MIN, encode_varint

Hook = Callable[[str, object], object]

ARRAY_ELEMENTS_MAX = 32
DEPTH_MAX = 100
_PLAIN = frozenset((float, int, bool, str, type(None)))

# Types of numpy scalars whose `item()` has been seen to give a plain number; a shortcut past all the questions below.
_number_types: set[type] = set()


def flatten(data: Mapping[str, object], hook: Hook | None = None) -> list[tuple[str, object]]:
    """The leaves of `data` in its order, names joined by ".", values made plain. `data` is not changed.

    Raises:
        TypeError: `data` is not a mapping, or a key or a value cannot be taken; the message names the key.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"log() takes a dict of metrics, not {_type_name(data)}")
    leaves: list[tuple[str, object]] = []
    _flatten(data, "", 0, leaves, hook)
    return leaves


def _flatten(
    data: Mapping[str, object], prefix: str, depth: int, leaves: list[tuple[str, object]], hook: Hook | None
) -> None:
    if depth > DEPTH_MAX:
        raise TypeError(f"key {_shorten(prefix)}: dicts are nested more than {DEPTH_MAX} deep")
    # The list is taken first, because converting a value may run code that changes `data`.
    for key, value in list(data.items()):
        name = prefix + check_key(key, prefix)
        if type(value) in _PLAIN:
            leaves.append((name, value))
        elif type(value) in _number_types:
            leaves.append((name, value.item()))  # type: ignore[attr-defined]
        elif isinstance(value, Mapping):
            _flatten(value, name + ".", depth + 1, leaves, hook)
        else:
            plain = to_plain(name, value, hook)
            if isinstance(plain, Mapping):
                _flatten(plain, name + ".", depth + 1, leaves, hook)
            else:
                leaves.append((name, plain))


def check_key(key: object, prefix: str = "") -> str:
    """`key` as an exact str.

    Raises:
        TypeError: it is no str, or empty.
    """
    if not isinstance(key, str):
        inside = f" inside {_shorten(prefix)}" if prefix else ""
        raise TypeError(f"metric names must be str, but {key!r}{inside} is {_type_name(key)}")
    if not key:
        raise TypeError(f"metric names must not be empty{f' (inside {_shorten(prefix)})' if prefix else ''}")
    return key if type(key) is str else str.__str__(key)


def encode_key(key: str) -> bytes:
    """The key's UTF-8 as it stands in a KeyDef; lone surrogates, which UTF-8 does not have, are escaped.

    Raises:
        TypeError: longer than 4096 bytes.
    """
    name = key.encode("utf-8", "backslashreplace")
    if len(name) > KEY_BYTES_MAX:
        raise TypeError(f"key {_shorten(key)} has {len(name)} bytes; at most {KEY_BYTES_MAX} are possible")
    return name


def check_step(step: object) -> int:
    """`step` as an int: ints, numpy integers, 0-d integer arrays and tensors.

    Raises:
        TypeError: it is none of these.
        ValueError: it does not fit into 64 bits.
    """
    try:
        number = operator.index(step)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"step must be an int, not {_type_name(step)}") from None
    if not STEP_MIN <= number <= STEP_MAX:
        raise ValueError(f"step {number} does not fit into 64 bits")
    return number


def to_plain(key: str, value: object, hook: Hook | None = None) -> object:
    """The plain value for anything that can be logged; what `hook` returns is made plain in turn.

    Raises:
        TypeError: no way to take it; the message names the key and the type.
    """
    try:
        return _to_plain(value, 0)
    except _NotPlainError as error:
        if hook is None:
            raise TypeError(f"key {_shorten(key)}: cannot log {error}") from None
    converted = hook(key, value)
    try:
        return _to_plain(converted, 0, mappings=True)
    except _NotPlainError as error:
        raise TypeError(f"key {_shorten(key)}: cannot log {error}") from None


class _NotPlainError(Exception):
    """The value cannot be made plain."""


def _to_plain(value: object, depth: int, *, mappings: bool = False) -> object:  # noqa: PLR0911 - a table
    if type(value) in _PLAIN:
        return value
    # An enum may be an int or a str too, and its name says more.
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | tuple | set | frozenset):
        return _to_list(value, depth)
    if isinstance(value, Mapping) and (depth or mappings):
        return _to_dict(value, depth)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if hasattr(value, "item") and hasattr(value, "dtype"):
        return _from_array(value, depth)
    return _from_protocols(value)


def _to_list(
    value: list[object] | tuple[object, ...] | set[object] | frozenset[object], depth: int
) -> list[object]:
    if depth > DEPTH_MAX:
        raise _NotPlainError(f"lists nested more than {DEPTH_MAX} deep")
    items = list(value)
    if isinstance(value, set | frozenset):
        # Unlike types have no order; then any order will do.
        with contextlib.suppress(TypeError):
            items.sort()
    return [_to_plain(item, depth + 1) for item in items]


def _to_dict(value: Mapping[object, object], depth: int) -> dict[str, object]:
    if depth > DEPTH_MAX:
        raise _NotPlainError(f"dicts nested more than {DEPTH_MAX} deep")
    # JSON has only text as keys; inside a list nothing is charted, so that loss is better than refusing.
    return {str(key): _to_plain(item, depth + 1) for key, item in list(value.items())}


def _from_array(value: object, depth: int) -> object:
    """Arrays, tensors and scalars of numpy, torch, jax and whatever else has `dtype` and `item()`."""
    array: _Array = value  # type: ignore[assignment]
    kind = getattr(array.dtype, "kind", "")
    if kind == "M":
        return str(value)
    if kind == "m" and not getattr(array, "ndim", 0):
        span = array.astype("timedelta64[us]").item()
        return span.total_seconds() if isinstance(span, datetime.timedelta) else None
    elements = _product(getattr(array, "shape", ()))
    if elements == 1:
        item = array.item()
        # Unlike an array, a scalar cannot be assigned to, so one of its type always has one element.
        is_scalar = type(value).__module__ == "numpy" and not hasattr(value, "__setitem__")
        if is_scalar and type(item) in (float, int):
            _number_types.add(type(value))
        # numpy's longdouble gives itself; protocols do the rest.
        return _from_protocols(item) if type(item) is type(value) else _to_plain(item, depth + 1)
    if elements <= ARRAY_ELEMENTS_MAX:
        return _to_list(array.tolist(), depth)
    raise _NotPlainError(
        f"{_type_name(value)} of {elements} elements (at most {ARRAY_ELEMENTS_MAX}; log a Histogram, Image or Table)"
    )


class _Array:
    """What arrays of all libraries have in common; never made, only named."""

    dtype: object
    item: Callable[[], object]
    tolist: Callable[[], list[object]]
    astype: Callable[[str], _Array]


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for length in shape:
        product *= int(length)
    return product


def _from_protocols(value: object) -> object:
    """Decimal, Fraction and scalars of other libraries by `__index__` and `__float__`; functions by name."""
    if hasattr(value, "__index__"):
        return int(operator.index(value))
    if hasattr(type(value), "__float__"):
        return float(value)  # type: ignore[arg-type]
    if callable(value) and (name := getattr(value, "__qualname__", "")):
        return f"{value.__module__}.{name}" if getattr(value, "__module__", None) else name
    raise _NotPlainError(f"a value of type {_type_name(value)}")


def encode_other(key_id: int, value: object) -> bytes:
    """A `buoy.v1.Value` with the value of one key that is no float and no small int.

    Raises:
        ValueError: a list holds something that JSON cannot, such as an int of thousands of digits.
    """
    prefix = b"\x08" + encode_varint(key_id) if key_id else b""
    return prefix + encode_kind(value)


def encode_kind(value: object) -> bytes:  # noqa: PLR0911 - a table
    """The field of a `buoy.v1.Value` that holds a plain value."""
    if value is None:
        return b"\x30\x01"
    if isinstance(value, bool):
        return b"\x18\x01" if value else b"\x18\x00"
    if isinstance(value, int):
        if -(1 << 63) < value < 1 << 63:
            return b"\x20" + encode_varint(value << 1 if value >= 0 else ~(value << 1))
        size = (value if value >= 0 else ~value).bit_length() // 8 + 1
        return _encode_bytes(0x2A, value.to_bytes(size, "little", signed=True))
    if isinstance(value, str):
        try:
            return _encode_bytes(0x12, value.encode())
        except UnicodeEncodeError:
            return _encode_bytes(0x42, value.encode("utf-8", "surrogatepass"))
    return _encode_bytes(0x3A, to_json(value))


def _encode_bytes(tag: int, data: bytes) -> bytes:
    return bytes((tag,)) + encode_varint(len(data)) + data


def to_json(value: object) -> bytes:
    """A plain value as JSON with NaN, Infinity and -Infinity; lone surrogates are escaped."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def decode_value(number: int, data: bytes) -> object:
    """The Python value of field `number` (text, big_integer, json, wtf8) of a `buoy.v1.Value`.

    Raises:
        ValueError: the bytes are no such value.
    """
    if number == 2:
        return data.decode()
    if number == 5:
        return int.from_bytes(data, "little", signed=True)
    if number == 8:
        return data.decode("utf-8", "surrogatepass")
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("malformed: JSON nested too deeply") from None


def fits_double(value: int) -> bool:
    """Whether an int travels as a double, marked as an int."""
    return -EXACT_INT_MAX <= value <= EXACT_INT_MAX


def nearest_double(value: float) -> float:
    """The double nearest to a number; infinite beyond the largest."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _shorten(key: str) -> str:
    return repr(key if len(key) <= 80 else key[:77] + "...")
