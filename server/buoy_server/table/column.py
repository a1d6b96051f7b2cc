"""The values of one key, for all rows of a table. Not thread-safe; whoever holds the table's lock may use it.

    kind    uint8    what a row has: ABSENT, NULL, FLAG, NUMBER, TEXT, OTHER
    number  float64  of numbers and flags
    code    int32    of texts: place in `texts`; of other values (lists, objects, integers beyond 2^53): in `others`

Equal texts are there once, so a test looks at each different text once, however many rows have it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from buoy_server.jsonvalues import EXACT_INT_MAX, clean, tag, untag

ABSENT, NULL, FLAG, NUMBER, TEXT, OTHER = range(6)

GONE = object()
"""Stands for the value of a row that has none."""

_ROOM_MIN = 64
_CLASS: dict[type, int] = {
    object: ABSENT, type(None): NULL, bool: FLAG, int: NUMBER, float: NUMBER, str: TEXT,
}  # fmt: skip


class Column:
    """See the module.

    Args:
        rows: how many; all are absent.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        room = max(_ROOM_MIN, rows)
        self._kind = np.zeros(room, np.uint8)
        self._number = np.zeros(room, np.float64)
        self._code = np.zeros(room, np.int32)
        self.texts: list[str] = []
        self.others: list[object] = []
        self._text_codes: dict[str, int] = {}
        self._other_codes: dict[str, int] = {}
        self._ranks: NDArray[np.float64] | None = None
        self._arrow: pa.Array | None = None

    @property
    def kind(self) -> NDArray[np.uint8]:
        """What each row has."""
        return self._kind[: self.rows]

    @property
    def number(self) -> NDArray[np.float64]:
        """The number of each row that has one, or a flag."""
        return self._number[: self.rows]

    @property
    def code(self) -> NDArray[np.int32]:
        """Where the text or other value of each row is."""
        return self._code[: self.rows]

    @property
    def size_bytes(self) -> int:
        """Memory, about; texts are taken to have 20 characters."""
        return 13 * len(self._kind) + 170 * len(self.texts) + 500 * len(self.others)

    def grow(self, rows: int) -> None:
        """Makes room for more rows, which are absent."""
        if rows > len(self._kind):
            more = max(rows, len(self._kind) * 3 // 2) - len(self._kind)
            self._kind, self._number, self._code = (
                np.concatenate([old, np.zeros(more, old.dtype)])
                for old in (self._kind, self._number, self._code)
            )
        self.rows = rows

    def put(self, row: int, value: object) -> None:
        """Sets one row; `GONE` takes its value away."""
        kind, number, code = self._coded(value)
        self._kind[row], self._number[row], self._code[row] = kind, number, code

    def fill(self, rows: Sequence[int] | NDArray[np.intp] | None, values: Sequence[object]) -> None:
        """Sets many rows at once; None = all."""
        places = np.arange(self.rows) if rows is None else np.asarray(rows, np.intp)
        kinds = set(map(type, values))
        if kinds <= {float, int}:
            self._fill_numbers(places, values)
        elif kinds == {str}:
            self._fill_texts(places, values)  # type: ignore[arg-type]
        elif len({_CLASS.get(kind, OTHER) for kind in kinds}) > 1:
            # One kind after the other: numbers, texts and gaps by the thousand, the rest one by one.
            which = np.array([_CLASS.get(type(value), OTHER) for value in values], np.uint8)
            for each in np.unique(which).tolist():
                chosen = np.flatnonzero(which == each)
                self.fill(places[chosen], [values[place] for place in chosen.tolist()])
        elif kinds == {bool}:
            self._kind[places], self._number[places] = FLAG, np.array(values, np.float64)
        else:
            known: dict[str, tuple[int, float, int]] = {}
            coded = [
                known.get(spelled) or known.setdefault(spelled, self._coded(value))
                for spelled, value in zip(map(repr, values), values, strict=True)
            ]
            self._store(places, coded)

    def put_json(self, row: int, text: str) -> None:
        """Sets one row to the value of a JSON text."""
        self.put(row, untag(json.loads(text)))

    def fill_json(self, texts: Sequence[str]) -> None:
        """Sets all rows to the values of JSON texts; for columns in which few texts differ."""
        known: dict[str, tuple[int, float, int]] = {}
        for text in texts:
            if text not in known:
                known[text] = self._coded(untag(json.loads(text)))
        self._store(np.arange(self.rows), [known[text] for text in texts])

    def fill_numbers(
        self, rows: NDArray[np.intp], numbers: NDArray[np.float64], absent: NDArray[np.bool_]
    ) -> None:
        """Sets many rows to numbers, but those that are absent."""
        self._kind[rows] = np.where(absent, ABSENT, NUMBER)
        self._number[rows] = numbers

    def copy_rows(self, other: Column, rows: NDArray[np.intp]) -> None:
        """Takes some rows over from a column that has the same rows."""
        if not (self.texts or self.others):
            self.texts, self.others = list(other.texts), list(other.others)
            self._text_codes, self._other_codes = dict(other._text_codes), dict(other._other_codes)
            for name in ("_kind", "_number", "_code"):
                getattr(self, name)[rows] = getattr(other, name)[rows]
            return
        for row in rows.tolist():
            self.put(row, other.value(row))

    def code_of(self, text: str) -> int | None:
        """Where a text is, if any row has ever had it."""
        return self._text_codes.get(text)

    def arrow_texts(self) -> pa.Array:
        """The different texts, for regular expressions."""
        if self._arrow is None or len(self._arrow) != len(self.texts):
            try:
                self._arrow = pa.array(self.texts, pa.string())
            except UnicodeEncodeError:
                self._arrow = pa.array([clean(text) for text in self.texts], pa.string())
        return self._arrow

    def text_ranks(self) -> NDArray[np.float64]:
        """The place of each different text in the alphabet."""
        if self._ranks is None or len(self._ranks) != len(self.texts):
            order = sorted(range(len(self.texts)), key=self.texts.__getitem__)
            self._ranks = np.empty(len(order), np.float64)
            self._ranks[order] = np.arange(len(order), dtype=np.float64)
        return self._ranks

    def value(self, row: int) -> object:
        """The value of a row, `GONE` if it has none. Numbers are doubles."""
        kind = self._kind[row]
        if kind == TEXT:
            return self.texts[self._code[row]]
        if kind == OTHER:
            return self.others[self._code[row]]
        number = float(self._number[row])
        return {ABSENT: GONE, NULL: None, FLAG: bool(number)}.get(int(kind), number)

    def _fill_numbers(self, places: NDArray[np.intp], values: Sequence[object]) -> None:
        try:
            numbers = np.array(values, np.float64)
            exact = int not in set(map(type, values)) or bool((np.abs(numbers) < EXACT_INT_MAX).all())
        except OverflowError:
            exact = False
        if exact:
            self._kind[places], self._number[places] = NUMBER, numbers
        else:
            self._store(places, list(map(self._coded, values)))

    def _fill_texts(self, places: NDArray[np.intp], values: Sequence[str]) -> None:
        codes = self._text_codes
        self._code[places] = [codes.setdefault(text, len(codes)) for text in values]
        self._kind[places] = TEXT
        if len(codes) > len(self.texts):
            self.texts = list(codes)

    def _coded(self, value: object) -> tuple[int, float, int]:
        if value is GONE:
            return ABSENT, 0.0, 0
        if value is None:
            return NULL, 0.0, 0
        if isinstance(value, bool):
            return FLAG, float(value), 0
        if isinstance(value, float) or (isinstance(value, int) and abs(value) <= EXACT_INT_MAX):
            return NUMBER, float(value), 0
        if isinstance(value, str):
            code = self._text_codes.setdefault(value, len(self._text_codes))
            if code == len(self.texts):
                self.texts.append(value)
            return TEXT, 0.0, code
        spelling = json.dumps(tag(value), sort_keys=True)
        code = self._other_codes.setdefault(spelling, len(self._other_codes))
        if code == len(self.others):
            self.others.append(value)
        return OTHER, 0.0, code

    def _store(self, where: NDArray[np.intp], coded: Sequence[tuple[int, float, int]]) -> None:
        kind, number, code = zip(*coded, strict=True) if coded else ((), (), ())
        self._kind[where], self._number[where], self._code[where] = kind, number, code
