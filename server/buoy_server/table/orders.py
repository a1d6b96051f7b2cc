"""Rows in the orders in which they were shown, so that later pages of a list go on with the same one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

_BYTES_MAX = 32 << 20


class Orders:
    """The latest orders of one table, within a limit of memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Hashable, int], NDArray[np.int32]] = OrderedDict()
        self.size_bytes = 0

    def put(self, question: Hashable, rev: int, rows: NDArray[np.intp]) -> None:
        """Keeps the answer to a question as of a revision."""
        self._forget((question, rev))
        self._kept[question, rev] = kept = rows.astype(np.int32)
        self.size_bytes += kept.nbytes
        while self.size_bytes > _BYTES_MAX and len(self._kept) > 1:
            self._forget(next(iter(self._kept)))

    def get(self, question: Hashable, rev: int) -> NDArray[np.intp] | None:
        """The rows as they were; None if that is no longer known."""
        found = self._kept.get((question, rev))
        if found is None:
            return None
        self._kept.move_to_end((question, rev))
        return found.astype(np.intp)

    def _forget(self, key: tuple[Hashable, int]) -> None:
        old = self._kept.pop(key, None)
        if old is not None:
            self.size_bytes -= old.nbytes
