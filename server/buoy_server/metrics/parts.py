"""Finds parts of the embedded engine's tables that are shorter on the disk than they should be, and mends the tables.

A part that an insert has made is dropped: its points come again. One that comes from a merge, or from the removal of
points, was made of others, which are still there for eight minutes. They get a second name at once, come back when the
disk takes what is written, and lose that name when they are back and whole. The engine, too, takes broken parts out
when it starts, and what they were made of in their place.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from clickhouse_connect.driver.client import Client

_PARTS = (
    "SELECT table, name, path, hash_of_all_files, bytes_on_disk, CAST(active, 'Bool'), level, "
    "min_block_number, max_block_number FROM system.parts "
    "WHERE database = currentDatabase() AND table IN ('points', 'texts') AND rows > 0"
)
_FOLDERS = (
    "SELECT name, data_paths FROM system.tables "
    "WHERE database = currentDatabase() AND name IN ('points', 'texts')"
)
_LOOKS, _LOOK_S = 4, 0.25
"""How often, and how far apart, a part that seems broken is looked at again before that is believed."""

_KEPT = "kept_"
"""Begins the names of folders that the engine does not take for parts."""

_UNCOUNTED = (
    "checksums.txt", "columns.txt", "columns_substreams.txt", "default_compression_codec.txt", "metadata_version.txt",
)  # fmt: skip
"""Files of a part that the engine leaves out of its size."""

_SHARED = {".bin", ".cidx", ".idx"}
"""Files of a part that are written once. The others are small, and written anew when the part is attached."""

_log = logging.getLogger("buoy_server")


@dataclass(frozen=True)
class _Part:
    """A part as the engine knows it: the blocks it holds, how often they were merged, and where it is."""

    table: str
    name: str
    path: str
    digest: str
    size_bytes: int
    active: bool
    level: int
    first: int
    last: int

    def holds(self, other: _Part) -> bool:
        return self.table == other.table and self.first <= other.first and other.last <= self.last

    def is_whole(self) -> bool:
        """Whether its files are there, as long as they should be.

        A file of a column may be empty: one of nothing but zeros has its values nowhere.
        """
        try:
            sizes = {entry.name: entry.stat().st_size for entry in os.scandir(self.path)}
        except FileNotFoundError:
            return True  # Merged or dropped meanwhile.
        counted = sum(size for name, size in sizes.items() if name not in _UNCOUNTED)
        return counted >= self.size_bytes and all(sizes.get(name) != 0 for name in _UNCOUNTED)


def mend(client: Client) -> None:
    """Mends the tables, as far as the disk allows. May be called again and again, after a restart too.

    Raises:
        OSError, ClickHouseError: The disk is not well yet. Nothing is lost by that.
    """
    broken = _surely_broken(client)
    parts = _parts(client)
    for part in broken:
        sources = _sources(part, parts)
        _log.error("the disk has lost some of %s; %s", part.path, _outcome(part, sources))
        for source in sources:
            _keep(source)
    for part in broken:
        if part.level > 0 or _sources(part, parts):
            _probe(Path(part.path).parent)
        client.command(f"ALTER TABLE {part.table} DROP PART '{part.name}'")
    for table, folder in _kept(client):
        _probe(folder.parent)
        _bring_back(client, table, folder)


def suspects(client: Client) -> list[_Part]:
    """Parts in use that seem broken."""
    return [part for part in _parts(client) if part.active and not part.is_whole()]


def _surely_broken(client: Client) -> list[_Part]:
    """Those that stay broken, and that the engine itself finds broken.

    A part that is being attached or merged away has empty files, or none, for a moment. Whoever drops it then loses
    points that no daemon sends again.
    """
    found = suspects(client)
    for _ in range(_LOOKS):
        if not found:
            return []
        time.sleep(_LOOK_S)
        still = {part.path for part in suspects(client)}
        found = [part for part in found if part.path in still]
    return [part for part in found if not _engine_reads(client, part)]


def _engine_reads(client: Client, part: _Part) -> bool:
    """Whether the engine finds a part's files right. A file too many, as a kill can leave one, does no harm.

    Raises:
        ClickHouseError: It cannot say so now, which is no verdict.
    """
    rows = client.query(f"CHECK TABLE {part.table} PART '{part.name}'").result_rows
    return all(int(passed) == 1 or "UNEXPECTED_FILE_IN_DATA_PART" in message for _, passed, message in rows)


def _parts(client: Client) -> list[_Part]:
    return [_Part(*row) for row in client.query(_PARTS).result_rows]


def _sources(merged: _Part, parts: list[_Part]) -> list[_Part]:
    """What a part was made of, as far as it is there and whole: the largest of those that hold the same rows."""
    found: list[_Part] = []
    candidates = [part for part in parts if part != merged and not part.active and merged.holds(part)]
    for part in sorted(candidates, key=lambda part: part.first - part.last):
        if not any(larger.holds(part) for larger in found) and Path(part.path).exists() and part.is_whole():
            found.append(part)
    return found


def _outcome(part: _Part, sources: list[_Part]) -> str:
    if sources:
        return f"{', '.join(source.name for source in sources)}, which it was made of, come back"
    if part.level == 0:
        return "its points come again"
    return (
        "what it was made of is gone too: its points are lost here, the run folders of each machine have them"
    )


def _keep(part: _Part) -> None:
    """Gives a part's files a second name; that needs no room for the data."""
    source = Path(part.path.rstrip("/"))
    kept = source.parent / "detached" / f"{_KEPT}{part.digest}.{part.name}"
    if not kept.exists():
        shutil.copytree(source, kept, copy_function=os.link)


def _kept(client: Client) -> list[tuple[str, Path]]:
    """Parts that wait to come back, with their tables."""
    return [
        (table, folder)
        for table, paths in client.query(_FOLDERS).result_rows
        for path in paths
        for folder in sorted((Path(path) / "detached").glob(f"{_KEPT}*"))
    ]


def _probe(folder: Path) -> None:
    """Raises OSError while the disk does not take what is written: the engine would not say so."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(bytes(1 << 16))
        file.flush()
        os.fsync(file.fileno())


def _bring_back(client: Client, table: str, kept: Path) -> None:
    digest, name = kept.name.removeprefix(_KEPT).split(".")
    if not _is_there(client, table, digest):
        staged = kept.parent / name
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(kept, staged, copy_function=_share)
        client.command(f"ALTER TABLE {table} ATTACH PART '{name}'")
        if not _is_there(client, table, digest):
            raise OSError(errno.EIO, "the disk is not well yet", str(kept))
        _log.warning("%s of %s is back", name, table)
    shutil.rmtree(kept)


def _is_there(client: Client, table: str, digest: str) -> bool:
    """Whether a part with these contents is in the table and whole; one that is not whole is taken out."""
    for part in _parts(client):
        if part.active and (part.table, part.digest) == (table, digest):
            if part.is_whole():
                return True
            client.command(f"ALTER TABLE {table} DROP PART '{part.name}'")
    return False


def _share(source: str, target: str) -> None:
    """A second name for what is never written again, a copy of the rest."""
    if Path(source).suffix in _SHARED:
        os.link(source, target)
    else:
        shutil.copyfile(source, target)
