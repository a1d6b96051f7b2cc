"""`buoy sync PATH...`: has the daemon upload run folders, and follows it.

The daemon does the sending, with the same chain as for runs that go on. When it dies, another one is started and asked
again; when this program is interrupted, the daemon goes on as long as the server takes records.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import click
from buoy_core.state import log_path
from buoy_proto import v1

from buoy.cli.folders import echo_table, find_run_folders, is_chosen, run_path, size_text
from buoy.cli.place import state_folder
from buoy.cli.upload_bar import Show, upload_bar
from buoy.daemon_link import DaemonLink, Starter, connect
from buoy.errors import CommError
from buoy.settings import resolve

_START_TIMEOUT_S = 30.0
_SURVEY_TIMEOUT_S = 600.0
_CALL_S = 60.0
"""How long one call of the daemon lasts: a daemon that hangs is noticed after that."""
_PATIENCE_S, _REFUSED_PATIENCE_S = 15.0, 5.0
"""How long nothing may move, unless a time was given; the latter when everything that is left was refused."""

_LINES_MAX = 20
"""How many folders are named of which something is left."""

LEFT, DAMAGED = 1, 3


class Wanted(NamedTuple):
    """What is to be uploaded."""

    paths: tuple[Path, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    base_url: str | None


def sync_folders(wanted: Wanted, deadline: float | None, *, dry_run: bool) -> int:
    """Uploads, or shows what there would be to upload; returns the exit code."""
    state = state_folder()
    folders = find_run_folders(wanted.paths)
    destination = _destination(wanted.base_url)
    with connect(state, _START_TIMEOUT_S, Starter(state)) as link:
        # What dead processes have left of these runs is in no folder yet.
        link.status(look=True)
        request = v1.SurveyRequest(run_dirs=map(str, folders), destination=destination, ask=dry_run)
        found = link.survey(request, _SURVEY_TIMEOUT_S).folders
    chosen = [each for each in found if is_chosen(each.run, wanted.include, wanted.exclude)]
    if not chosen:
        raise click.UsageError(f"none of the {len(found)} runs is like --include and not like --exclude")
    if dry_run:
        _list(chosen)
        return 0
    upload = _Upload(state, destination, chosen, deadline)
    try:
        with upload_bar() as show:
            upload.run(show)
    except KeyboardInterrupt:
        click.echo(
            "interrupted; the daemon goes on with it as long as the server takes records, "
            "and the same command shows how far it is"
        )
        raise click.exceptions.Exit(130) from None
    return upload.report()


def _destination(base_url: str | None) -> v1.Destination:
    """Where folders go, and the key if the user has given one for that server."""
    settings = resolve({"base_url": base_url}, warn=lambda text: click.echo(text, err=True))
    return v1.Destination(
        base_url=settings.base_url if base_url else "",
        default_base_url=settings.base_url,
        api_key=settings.api_key or "",
    )


def _list(folders: Iterable[v1.FolderStatus]) -> None:
    columns = "run", "name", "records", "size", "on the server", "to send", "server", "folder"
    echo_table(columns, map(_row, folders))


def _row(folder: v1.FolderStatus) -> tuple[str, ...]:
    if folder.state == "unreadable":
        return "?", "", "?", "?", "?", folder.error, "", folder.run_dir
    asked = folder.state in {"complete", "sending"}
    acked = f"{folder.acked_seq:,}" if asked else "?"
    left = (
        f"{folder.records - folder.acked_seq:,}"
        if asked
        else f"? ({folder.error or 'no server is configured'})"
    )
    name = folder.run.name + (" (goes on)" if folder.live else "")
    size = size_text(folder.size_bytes)
    return (
        run_path(folder.run),
        name,
        f"{folder.records:,}",
        size,
        acked,
        left,
        folder.base_url,
        folder.run_dir,
    )


class _Upload:
    """Folders on their way, as the daemon tells it."""

    def __init__(
        self,
        state: Path,
        destination: v1.Destination,
        folders: Iterable[v1.FolderStatus],
        deadline: float | None,
    ) -> None:
        self._state = state
        self._destination = destination
        self._deadline = deadline
        self._folders = {each.run_dir: each for each in folders}
        self._began: dict[str, int] = {}
        self._lost: dict[str, None] = {}
        self._moved: object = None
        self._moved_at = time.monotonic()

    def run(self, show: Show) -> None:
        """Follows the daemon until everything is there, or nothing moves any more; takes the next if it dies."""
        while self._left() and not self._is_over(time.monotonic()):
            try:
                with connect(self._state, _START_TIMEOUT_S, Starter(self._state)) as link:
                    self._follow(link, show)
            except CommError as error:
                if self._is_over(time.monotonic()):
                    raise CommError(
                        f"{error}; what was sent is safe, and the same command sends the rest "
                        f"(the daemon's log: {log_path(self._state)})"
                    ) from None

    def _follow(self, link: DaemonLink, show: Show) -> None:
        """One call. Raises CommError if the daemon dies, or says nothing at all."""
        heard = False
        request = v1.SyncRequest(run_dirs=self._left(), destination=self._destination)
        try:
            with closing(link.sync(request, _CALL_S)) as answers:
                for progress in answers:
                    heard = True
                    for folder in progress.folders:
                        self._take(folder)
                    show(self._sent(), sum(each.records for each in self._folders.values()))
                    if self._is_over(time.monotonic()):
                        return
        except CommError as error:
            if error.code != "DEADLINE_EXCEEDED" or not heard:
                raise

    def _take(self, folder: v1.FolderStatus) -> None:
        if not folder.run.run_id:
            # It has become unreadable; it keeps its name.
            folder.run.CopyFrom(self._folders[folder.run_dir].run)
        self._folders[folder.run_dir] = folder
        if folder.HasField("began_seq"):
            self._began.setdefault(folder.run_dir, folder.began_seq)
        self._lost.update(dict.fromkeys(folder.lost))

    def _left(self) -> list[str]:
        over = {"complete", "incomplete", "unreadable"}
        return [run_dir for run_dir, each in self._folders.items() if each.state not in over]

    def _sent(self) -> int:
        return sum(each.acked_seq for each in self._folders.values())

    def _is_over(self, now: float) -> bool:
        # Of a thousand folders the server is asked about each before it gets the first record.
        mark = (self._sent(), len(self._left()), len(self._began))
        if mark != self._moved:
            self._moved, self._moved_at = mark, now
        if self._deadline is not None:
            return now >= self._deadline
        refused = all(self._folders[run_dir].state == "refused" for run_dir in self._left())
        return now - self._moved_at >= (_REFUSED_PATIENCE_S if refused else _PATIENCE_S)

    def report(self) -> int:
        """Says what has become of it; returns the exit code."""
        for text in self._lost:
            click.echo(f"lost: {text}; the run page shows a gap")
        missing = [each for each in self._folders.values() if each.state != "complete"]
        for folder in missing[:_LINES_MAX]:
            click.echo(_why(folder))
        if len(missing) > _LINES_MAX:
            click.echo(f"and {len(missing) - _LINES_MAX} more")
        for folder in (each for each in self._folders.values() if each.state == "complete" and each.error):
            click.echo(f"{run_path(folder.run)}: {folder.error}")
        arrived = [each for each in self._folders.values() if each.state == "complete"]
        if arrived:
            click.echo(self._summary(arrived))
        if missing:
            click.echo(
                "nothing is lost by that: the folders are as they were, and the same command sends the rest"
            )
            return LEFT
        return DAMAGED if self._lost else 0

    def _summary(self, arrived: list[v1.FolderStatus]) -> str:
        records = sum(each.records for each in arrived)
        sent = sum(each.acked_seq - self._began.get(each.run_dir, each.acked_seq) for each in arrived)
        servers = ", ".join(dict.fromkeys(each.base_url for each in arrived))
        runs = f"{len(arrived)} run{'s' * (len(arrived) != 1)}"
        if not sent:
            return f"nothing to send: {servers} has all {records:,} records of {runs} already"
        return f"on the server: {records:,} records of {runs}, {sent:,} of them sent now ({servers})"


def _why(folder: v1.FolderStatus) -> str:
    """One line about a folder of which something is not on the server."""
    name = run_path(folder.run) if folder.run.run_id else folder.run_dir
    reason = f"{folder.state} ({folder.error})" if folder.error else folder.state
    if folder.state == "unreadable":
        return f"{folder.run_dir}: {reason}"
    left = folder.records - folder.acked_seq
    return (
        f"{name}: {left:,} of {folder.records:,} records are not on {folder.base_url or 'a server'}: {reason}"
    )
