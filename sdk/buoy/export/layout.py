"""What the files of one run have in common, whatever their format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from buoy.export.batch import Batch
from buoy.export.columns import FLOAT, INT, TEXT, Kind, column_names

_CELLS_MAX = 2_000_000


@dataclass(frozen=True)
class Layout:
    """The columns of a file.

    Attributes:
        run: id of the run; the same in each row.
        started_us: when it began, for `_runtime`.
        kinds: what each key's values are.
        steps: rows have steps; those of system metrics do not.
        ranks: rows belong to ranks.
    """

    run: str
    started_us: int
    kinds: Mapping[str, Kind]
    steps: bool
    ranks: bool

    @property
    def own(self) -> list[tuple[str, str]]:
        """Name and type of the columns that are not keys, without `_none`."""
        found = [("_run", TEXT)]
        found += [("_step", INT)] if self.steps else []
        found += [("_attempt", INT)]
        found += [("_rank", INT)] if self.ranks else []
        return [*found, ("_timestamp", FLOAT), ("_runtime", FLOAT)]

    @property
    def names(self) -> dict[str, str]:
        """The column of each key."""
        return column_names(self.kinds)

    @property
    def has_none(self) -> bool:
        """Whether there is a column `_none`."""
        return any(kind.has_none for kind in self.kinds.values())

    def own_values(self, batch: Batch) -> dict[str, list[object]]:
        """The values of the columns that are not keys."""
        found: dict[str, list[object]] = {"_run": [self.run] * len(batch)}
        if self.steps:
            found["_step"] = list(batch.step)
        found["_attempt"] = list(batch.attempt)
        if self.ranks:
            found["_rank"] = list(batch.rank)
        found["_timestamp"] = [time_us / 1e6 for time_us in batch.time_us]
        found["_runtime"] = [(time_us - self.started_us) / 1e6 for time_us in batch.time_us]
        return found

    def none_values(self, batch: Batch) -> list[list[str] | None]:
        """The keys of each row that None was logged under; None if there are none."""
        found: list[list[str] | None] = [None] * len(batch)
        for key, column in batch.columns.items():
            if self.kinds[key].has_none:
                places = range(len(batch)) if column.at is None else column.at
                for place, value in zip(places, column.values, strict=True):
                    if value is None:
                        found[place] = [*(found[place] or ()), key]
        return found

    def parts(self, batch: Batch, columns: int) -> Iterator[Batch]:
        """A batch in pieces that stay small when each row is spread over so many columns."""
        return batch.parts(max(1, _CELLS_MAX // max(1, columns)))
