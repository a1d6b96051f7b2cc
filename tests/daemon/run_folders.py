"""Run folders as a daemon leaves them, made block by block, and the ways in which they are found damaged."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

from buoy_core.format import wal_segment_name
from buoy_core.wal_segment import SegmentHeader

from tests.server.streams import Stream


class RunFolder:
    """A run of one writer: `blocks` blocks of 5 rows, the last of which ends it unless it `goes_on`.

    Args:
        parent: gets the folder.
        run_id: its id.
        segments: the blocks are spread over so many files.
        base_url: the server in its run.json.
        pad: so many bytes that do not compress in each row.
    """

    def __init__(
        self,
        parent: Path,
        run_id: str = "r1",
        *,
        project: str = "p",
        name: str = "",
        blocks: int = 10,
        segments: int = 1,
        base_url: str = "",
        pad: int = 0,
        goes_on: bool = False,
    ) -> None:
        chance = random.Random(run_id)
        self.stream = Stream(run_id, project=project, name=name, entity="local")
        writer = self.stream.writer()
        for block in range(blocks):
            rows = [(5 * block + row, _values(5 * block + row, chance, pad)) for row in range(5)]
            writer.log(rows)
        if not goes_on:
            writer.end()
        self.writer_id = writer.id
        self.rows = 5 * blocks
        self.path = parent / f"run-20260101_000000-{run_id}"
        self.wal = self.path / "wal"
        self.wal.mkdir(parents=True)
        self.offsets = self._write(segments)
        about = {
            "stream_id": self.stream.stream_id.hex(), "run_id": run_id, "entity": "local", "project": project,
            "name": name, "attempt": 1, "base_url": base_url,
        }  # fmt: skip
        (self.path / "run.json").write_text(json.dumps(about))

    def _write(self, segments: int) -> list[tuple[Path, int, int]]:
        """Writes the segments; file, offset and size of each block."""
        blocks = self.stream.blocks
        places = []
        share = -(-len(blocks) // segments)
        for index in range(segments):
            path = self.wal / wal_segment_name(index)
            mine = blocks[index * share : (index + 1) * share]
            first_seq = int.from_bytes(mine[0][16:24], "little") if mine else self.stream.seq
            data = SegmentHeader(self.stream.stream_id, index, first_seq, self.stream.start_us).pack()
            for block in mine:
                places.append((path, len(data), len(block)))
                data += block
            path.write_bytes(data)
        return places

    def flip(self, block: int) -> None:
        """Damages the payload of a block."""
        path, offset, size = self.offsets[block]
        data = bytearray(path.read_bytes())
        data[offset + size - 1] ^= 8
        path.write_bytes(data)

    def tear(self) -> int:
        """Cuts the last block in half; the number of rows that are left."""
        path, offset, size = self.offsets[-1]
        with path.open("r+b") as file:
            file.truncate(offset + size // 2)
        return self.rows

    def digest(self) -> str:
        """Of every byte and name in the folder."""
        found = hashlib.sha256()
        for path in sorted(self.path.rglob("*")):
            found.update(str(path.relative_to(self.path)).encode())
            found.update(path.read_bytes() if path.is_file() else b"")
        return found.hexdigest()


def _values(step: int, chance: random.Random, pad: int) -> dict[str, object]:
    return {"value": float(step), **({"pad": chance.randbytes(pad // 2).hex()} if pad else {})}
