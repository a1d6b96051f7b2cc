"""Where an export goes. A file has its name only once it is complete."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

from buoy.export.facts import Facts

_NAME_MAX = 200


def file_of(folder: Path, kind: str, facts: Facts, suffix: str) -> Path:
    """The file of a run: `folder/kind/entity/project/run.suffix`."""
    return folder / kind / _safe(facts.entity) / _safe(facts.project) / f"{_safe(facts.id)}.{suffix}"


def _safe(name: str) -> str:
    """A name as a file can have it; different names stay different."""
    # Dots are not quoted, but alone they are folders, and at the beginning they hide.
    found = quote(name, safe=" ()+,=@[]{}")
    found = "%2E" + found[1:] if found.startswith(".") else found or "%00"
    if len(found) <= _NAME_MAX:
        return found
    return f"{found[: _NAME_MAX - 20]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


@contextlib.contextmanager
def completed(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to. It is renamed when all went well, and is gone otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as file:
            # Otherwise a power cut may leave the name without the content.
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def text_file(path: Path) -> Iterator[IO[str]]:
    """A file of lines."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yield file
