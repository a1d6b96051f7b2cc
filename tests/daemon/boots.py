"""Makes spools look as if the machine had been restarted since they were written."""

from __future__ import annotations

import zlib
from pathlib import Path


def pretend_other_boot(folder: Path) -> None:
    """Gives every segment of a spool the boot id of another start of the machine."""
    for path in folder.glob("*.seg"):
        with path.open("r+b") as file:
            head = bytearray(file.read(80))
            head[56:72] = bytes(range(16))
            head[76:80] = zlib.crc32(head[:76]).to_bytes(4, "little")
            file.seek(0)
            file.write(head)
