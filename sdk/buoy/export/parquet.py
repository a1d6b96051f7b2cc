"""Parquet files, by pyarrow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buoy.errors import UsageError
from buoy.export.batch import Batch
from buoy.export.columns import BOOL, FLOAT, INT, JSON, NULL, TEXT, as_json
from buoy.export.facts import COLUMNS, NUMBERS, TIMES, TREES, Facts
from buoy.export.layout import Layout

if TYPE_CHECKING:
    import pyarrow as pa

_VERSION = 1


def need_pyarrow() -> None:
    """Raises UsageError, with what to do, if Parquet cannot be written here."""
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415  only who writes Parquet needs it
    except ImportError as error:
        raise UsageError(
            f"Parquet needs pyarrow ({error}); run: pip install 'buoy[export]', or take --format csv or jsonl, "
            "which need nothing"
        ) from None


def _type(form: str) -> pa.DataType:
    import pyarrow as pa  # noqa: PLC0415

    types = {FLOAT: pa.float64(), INT: pa.int64(), BOOL: pa.bool_(), TEXT: pa.string(), JSON: pa.string()}
    return types.get(form, pa.string())


class ParquetFile:
    """The rows of one run; one row group for each batch."""

    def __init__(self, path: Path, layout: Layout, facts: Facts) -> None:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        self._layout = layout
        self._forms = {key: layout.kinds[key].form for key in layout.names}
        fields = [pa.field(name, _type(form)) for name, form in layout.own]
        for key, name in layout.names.items():
            about = {"buoy.key": key, "buoy.type": self._forms[key]}
            fields.append(pa.field(name, _type(self._forms[key]), metadata=about))
        if layout.has_none:
            fields.append(pa.field("_none", pa.list_(pa.string())))
        about_run = {**_tree(facts, as_text=False), "version": _VERSION}
        self._schema = pa.schema(fields, metadata={"buoy": json.dumps(about_run)})
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, batch: Batch) -> None:
        """Adds rows."""
        for part in self._layout.parts(batch, len(batch.columns)):
            self._writer.write_table(self._table(part))

    def close(self) -> None:
        """Writes the end of the file."""
        self._writer.close()

    def _table(self, batch: Batch) -> pa.Table:
        import pyarrow as pa  # noqa: PLC0415

        rows = len(batch)
        arrays = [
            pa.array(values, type=field.type)
            for values, field in zip(self._layout.own_values(batch).values(), self._schema, strict=False)
        ]
        nothing: dict[pa.DataType, pa.Array] = {}
        for key in self._layout.names:
            form, column = self._forms[key], batch.columns.get(key)
            type_ = _type(form)
            if column is None or form == NULL:
                # Of a thousand keys a row may have ten: the others share one array.
                arrays.append(nothing.setdefault(type_, pa.nulls(rows, type_)))
                continue
            if form == JSON:
                column = type(column)(
                    column.at, [None if value is None else as_json(value) for value in column.values]
                )
            arrays.append(pa.array(column.spread(rows), type=type_))
        if self._layout.has_none:
            arrays.append(pa.array(self._layout.none_values(batch), type=pa.list_(pa.string())))
        return pa.Table.from_arrays(arrays, schema=self._schema)


def write_runs(path: Path, runs: Sequence[Facts]) -> None:
    """The table of runs."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    types = {name: pa.string() for name in COLUMNS}
    types |= {name: pa.int64() for name in NUMBERS}
    types |= {name: pa.timestamp("us", tz="UTC") for name in TIMES}
    types["tags"] = pa.list_(pa.string())
    rows = [_tree(facts, as_text=True) for facts in runs]
    arrays = [
        pa.array([row[name] for row in rows], type=pa.int64()).cast(types[name])
        if name in TIMES
        else pa.array([row[name] for row in rows], type=types[name])
        for name in COLUMNS
    ]
    about = {name: {"buoy.type": JSON} for name in TREES}
    fields = [pa.field(name, types[name], metadata=about.get(name)) for name in COLUMNS]
    parquet.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), path, compression="zstd")


def _tree(facts: Facts, *, as_text: bool) -> dict[str, Any]:
    found = {
        name: getattr(facts, f"{name}_us") if name in TIMES else getattr(facts, name) for name in COLUMNS
    }
    if as_text:
        found |= {name: as_json(found[name]) for name in TREES}
    return found
