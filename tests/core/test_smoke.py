"""The shortest way through the data path."""

from __future__ import annotations

from pathlib import Path

import buoy_core


def test_what_is_logged_is_read(tmp_path: Path) -> None:
    writer = buoy_core.Writer(str(tmp_path / "spool"), writer_id=bytes(range(16)))
    writer.log({"loss": 0.5})
    writer.close()
    reader = buoy_core.SpoolReader(str(tmp_path / "spool"))
    chunk = reader.read()
    assert chunk is not None
    assert chunk.records == 2
    assert reader.sealed
    rows = buoy_core.decode_rows(chunk.payload)
    assert memoryview(rows.value).cast("d").tolist() == [0.5]
