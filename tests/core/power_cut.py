"""A disk that remembers what it was told, and what of it a power cut may leave.

`Disk` stands in for the `os` module of the log: it passes everything on and takes notes. After any call, `images()`
gives file systems that the machine may find after its restart: what was synced is there; a page written since then may
be there or not, whatever became of its neighbours; a name counts only once its folder was synced.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

PAGE = 4096

Image = dict[str, bytes]
"""Contents by path."""


@dataclass
class File:
    """A file's content: as every process sees it, and as the disk has it for sure."""

    content: bytearray = field(default_factory=bytearray)
    synced: bytes = b""

    def unsynced_pages(self) -> list[int]:
        synced = self.synced.ljust(len(self.content), b"\0")
        begins = range(0, len(self.content), PAGE)
        return [at for at in begins if self.content[at : at + PAGE] != synced[at : at + PAGE]]

    def with_pages(self, pages: tuple[int, ...]) -> bytes:
        """As large as it was, with these pages written and the others not."""
        data = bytearray(self.synced[: len(self.content)].ljust(len(self.content), b"\0"))
        for at in pages:
            data[at : at + PAGE] = self.content[at : at + PAGE]
        return bytes(data)


class Disk:
    """An `os` for `buoy_core.wal`. Descriptors are real; `names` and `lasting` map paths to files and folders."""

    def __init__(self) -> None:
        self.names: dict[str, File] = {}
        self.lasting: dict[str, File] = {}
        self.opened: dict[int, tuple[str, File]] = {}
        self.after_call: Callable[[], None] = lambda: None
        """Called after each call that changes what a power cut leaves."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        descriptor = os.open(path, flags, mode)
        file = self.names.setdefault(path, File())
        if flags & os.O_TRUNC:
            file = self.names[path] = File()
        self.opened[descriptor] = path, file
        return descriptor

    def dup(self, descriptor: int) -> int:
        copy = os.dup(descriptor)
        self.opened[copy] = self.opened[descriptor]
        return copy

    def pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        written = os.pwrite(descriptor, data, offset)
        content = self.opened[descriptor][1].content
        content.extend(bytes(max(offset - len(content), 0)))
        content[offset : offset + written] = bytes(data[:written])
        self.after_call()
        return written

    def ftruncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)
        del self.opened[descriptor][1].content[size:]

    def fsync(self, descriptor: int) -> None:
        path, file = self.opened[descriptor]
        if Path(path).is_dir():
            self._sync_names(path)
        else:
            file.synced = bytes(file.content)
        self.after_call()

    fdatasync = fsync

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        os.mkdir(path, mode)  # noqa: PTH102
        self.names[path] = File()

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new)  # noqa: PTH104
        self.names[new] = self.names.pop(old)
        self.after_call()

    def unlink(self, path: str) -> None:
        os.unlink(path)  # noqa: PTH108
        self.names.pop(path, None)

    def _sync_names(self, folder: str) -> None:
        for path in [path for path in self.lasting if str(Path(path).parent) == folder]:
            del self.lasting[path]
        self.lasting |= {path: file for path, file in self.names.items() if str(Path(path).parent) == folder}

    # After the power cut

    def images(self, chance: random.Random, most: int = 64) -> Iterator[Image]:
        """Every file system that may be left, or `most` of them by chance if there are more."""
        for names in self._names_left():
            files = {path: file for path, file in names.items() if not Path(path).is_dir()}
            written = {path: subsets(file.unsynced_pages(), chance, most) for path, file in files.items()}
            for choice in itertools.product(*written.values()):
                image = {
                    path: files[path].with_pages(pages) for path, pages in zip(files, choice, strict=True)
                }
                yield image
                yield {path: cut(files[path], image[path], chance) for path in image}

    def _names_left(self) -> list[dict[str, File]]:
        """The names that are synced; those that are there now; and, of a rename, both or none."""
        changed = [path for path in self.names if self.lasting.get(path) is not self.names[path]]
        choices = [self.lasting, self.names, self.lasting | self.names]
        return choices if changed or set(self.lasting) - set(self.names) else choices[:1]


def subsets(pages: list[int], chance: random.Random, most: int) -> list[tuple[int, ...]]:
    """All subsets of few pages; of many none, all, and a sample."""
    if 2 ** len(pages) <= most:
        return [part for size in range(len(pages) + 1) for part in itertools.combinations(pages, size)]
    sample = [tuple(page for page in pages if chance.random() < 0.5) for _ in range(most - 2)]
    return [(), tuple(pages), *sample]


def cut(file: File, data: bytes, chance: random.Random) -> bytes:
    """The same with the file's size not grown as far; never below what was synced."""
    return data[: chance.randint(min(len(file.synced), len(data)), len(data))]


def spool_image(moments: list[bytes], chance: random.Random) -> bytes:
    """A spool's segment after a power cut and a restart of the machine.

    Nobody syncs it: the kernel writes each page when it likes, so any of them is what it was at any moment, or empty.

    Args:
        moments: the segment's whole content at several moments of its life, the first one when it got its name.
        chance: decides.
    """
    data = bytearray(len(moments[0]))
    lost = chance.choice((0.03, 0.1, 0.4))
    for at in range(0, len(data), PAGE):
        chosen = chance.choice([*moments, b""]) if chance.random() < lost else moments[-1]
        data[at : at + PAGE] = chosen[at : at + PAGE].ljust(min(PAGE, len(data) - at), b"\0")
    return of_another_boot(bytes(data))


def of_another_boot(segment: bytes) -> bytes:
    """The segment with the boot id of no machine; one without a header stays as it is."""
    if not any(segment[:80]):
        return segment
    head = segment[:56] + bytes(16) + segment[72:76]
    return head + crc32(head).to_bytes(4, "little") + segment[80:]
