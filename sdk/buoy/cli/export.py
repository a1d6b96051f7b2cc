"""`buoy export`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from buoy.errors import Error, UsageError

if TYPE_CHECKING:
    from buoy.export.exporter import Exporter, Order, Source
    from buoy.export.facts import Facts

_FORMATS = ("parquet", "csv", "jsonl")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--format", "style", type=click.Choice(_FORMATS), help="By default that of FILE, else parquet.")
@click.option(
    "-o", "--output", default="buoy-export", show_default=True, metavar="DIR|FILE|-",
    help="A folder; or for one run a file that ends with the format's name; or - for standard output.",
)  # fmt: skip
@click.option("--keys", multiple=True, metavar="KEY[,KEY...]", help="Only these metrics.")
@click.option(
    "--ranks", default="all", show_default=True, metavar="all|N|HOW",
    help="A row for each rank, one rank, or all as one: mean, min, max, sum, std, count, argmin, argmax.",
)  # fmt: skip
@click.option("--system", is_flag=True, help="Also the machines' metrics, in files of their own.")
@click.option(
    "--attempts", type=click.Choice(["latest", "all"]), default="latest", show_default=True,
    help="all: also the steps that a resumed run has logged again.",
)  # fmt: skip
def export(
    *,
    paths: tuple[str, ...],
    style: str | None,
    output: str,
    keys: tuple[str, ...],
    ranks: str,
    system: bool,
    attempts: str,
) -> None:
    """Write runs to Parquet, CSV or JSON lines: every value, exactly as logged.

    A PATH is entity/project/run, project/run, a project (all its runs), a run folder, or a folder of run folders; these
    two need no server. Into a folder go history/ENTITY/PROJECT/RUN.parquet and runs.parquet (names, config, summary,
    metadata); docs/export.md has the columns.

    Exit code 1 if anything could not be exported.
    """
    order = _order(
        output=output, style=style, keys=keys, ranks=ranks, system=system, superseded=attempts == "all"
    )
    if _export(paths, order):
        raise click.exceptions.Exit(1)


def _order(
    *, output: str, style: str | None, keys: tuple[str, ...], ranks: str, system: bool, superseded: bool
) -> Order:
    from buoy.api.history import check_ranks  # noqa: PLC0415  only here
    from buoy.export.exporter import Order  # noqa: PLC0415
    from buoy.export.wanted import Wanted  # noqa: PLC0415

    suffix = Path(output).suffix.removeprefix(".")
    is_folder = output != "-" and suffix not in _FORMATS
    style = style or (suffix if suffix in _FORMATS else "jsonl" if output == "-" else "parquet")
    if not is_folder and output != "-" and suffix != style:
        raise click.UsageError(f"{output} would not be {style}; name it .{style}, or leave out --format")
    if output == "-" and style == "parquet":
        raise click.UsageError("Parquet does not go to standard output; take csv or jsonl, or name a file")
    if system and not is_folder:
        raise click.UsageError("--system writes a second file for each run, so -o must be a folder")
    try:
        chosen = check_ranks(int(ranks) if ranks.isdecimal() else ranks)
    except UsageError as error:
        raise click.UsageError(str(error).replace("ranks must be", "--ranks must be", 1)) from None
    assert chosen is not None
    if style == "parquet":
        from buoy.export.parquet import need_pyarrow  # noqa: PLC0415

        need_pyarrow()
    names = [name for given in keys for name in given.split(",") if name]
    return Order(Wanted(names, chosen, superseded), style, Path(output), is_folder, system)


def _export(paths: tuple[str, ...], order: Order) -> bool:
    """Whether anything could not be exported."""
    from buoy.export.exporter import Exporter  # noqa: PLC0415
    from buoy.export.sources import find_sources  # noqa: PLC0415

    scratch = order.to if order.is_folder else order.to.parent
    if order.to == Path("-"):
        scratch = Path(tempfile.gettempdir())
    scratch.mkdir(parents=True, exist_ok=True)
    sources = list(find_sources(paths, scratch))
    if len(sources) > 1 and not order.is_folder and (order.to != Path("-") or order.style == "csv"):
        raise UsageError(f"{order.to} holds one run, but there are {len(sources)}; name a folder with -o")
    exporter, done, failed = Exporter(order), [], []
    for source in sources:
        try:
            done.append(_one(exporter, order, source))
        except (Error, OSError) as error:
            failed.append(f"{source.path}: {error}")
    exporter.finish(done)
    unknown = [] if failed else sorted(set(order.wanted.keys) - exporter.keys)
    for note in [*exporter.notes, *failed, *(f"no run has the key {key!r}" for key in unknown)]:
        click.echo(f"buoy: {note}", err=True)
    runs = f"{len(done)} run" if len(done) == 1 else f"{len(done)} runs"
    click.echo(f"buoy: {runs} exported to {order.to}", err=True)
    return bool(failed or unknown)


def _one(exporter: Exporter, order: Order, source: Source) -> Facts:
    with _bar(source, order) as bar:
        return exporter.export(source, bar)


class _Bar:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total or None) if progress else None

    def __call__(self, points: int) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=points)


@contextmanager
def _bar(source: Source, order: Order) -> Iterator[_Bar]:
    """A bar on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield _Bar(None, 0)
        return
    columns = (
        TextColumn(source.path),
        BarColumn(),
        TextColumn("{task.completed:,.0f} values"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress, source.points(order.wanted))
