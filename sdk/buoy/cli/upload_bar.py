"""How the commands show an upload: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

_LINE_S = 5.0
"""Between two lines where there is no terminal."""


class Show(Protocol):
    """Takes in how many records are on the server, of how many."""

    def __call__(self, sent: int, total: int) -> None:
        """Shows it, if it is time."""


@contextmanager
def upload_bar() -> Iterator[Show]:
    """Shows how it goes, as long as the block lasts."""
    if not sys.stdout.isatty():
        yield _Lines().show
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("records")
    with Progress(*columns, console=Console(), transient=True) as bar:
        task = bar.add_task("uploading", total=None)

        def show(sent: int, total: int) -> None:
            bar.update(task, total=total, completed=sent)

        yield show


class _Lines:
    def __init__(self) -> None:
        self._next_at = time.monotonic() + _LINE_S

    def show(self, sent: int, total: int) -> None:
        if time.monotonic() >= self._next_at and sent < total:
            self._next_at = time.monotonic() + _LINE_S
            click.echo(f"{sent:,} of {total:,} records are on the server")
