"""Run folders that the user means, and how they are listed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from buoy_proto import v1


def find_run_folders(paths: Iterable[Path]) -> list[Path]:
    """The run folders that are in `paths`, at any depth, or are paths themselves; links below them are not followed.

    Raises:
        click.UsageError: a path is not there, or there is no run in it.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            raise click.UsageError(f"{path} is no folder")
        runs = sorted(_run_folders_below(path.resolve()))
        if not runs:
            raise click.UsageError(f"{path} is no run folder, and there is none in it")
        found += runs
    return list(dict.fromkeys(found))


def _run_folders_below(top: Path) -> Iterator[Path]:
    for name, folders, _ in os.walk(top):
        if "wal" in folders and any(Path(name, "wal").glob("*.wal")):
            yield Path(name)
            folders.clear()


def is_chosen(run: v1.RunInfo, include: tuple[str, ...], exclude: tuple[str, ...]) -> bool:
    """Whether a run is like one of `include`, if there is any, and like none of `exclude`."""
    names = run.run_id, run.name, run.project, f"{run.project}/{run.run_id}"

    def like(patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)

    return (not include or like(include)) and not like(exclude)


def run_path(run: v1.RunInfo) -> str:
    """entity/project/id."""
    return f"{run.entity or 'local'}/{run.project}/{run.run_id}"


def size_text(size_bytes: int) -> str:
    """A size for people."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def echo_table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Prints a table; piped output is for programs and not broken into lines."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 10_000, highlight=False, markup=False)
    console.print(table)
