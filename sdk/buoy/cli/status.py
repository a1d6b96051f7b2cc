"""`buoy status`: what is recorded on this machine, by which processes, and how far it is uploaded."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from buoy.cli.daemon import daemon
from buoy.cli.place import state_folder
from buoy.daemon_link import DaemonLink, Starter
from buoy.writers import Line, Writer, by_trouble, collapsed, in_trouble

if TYPE_CHECKING:
    from buoy_proto import v1

_ROWS_MAX = 16
"""Of a run with more processes than this, those in trouble are shown, and of the others how many there are."""


@click.command()
@click.option("--all", "everything", is_flag=True, help="Show every process, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def status(everything: bool, as_json: bool) -> None:
    """Show what is recorded on this machine, by which processes, and how far it is uploaded.

    Exit code 1 if no daemon runs.
    """
    state = state_folder()
    if not Starter(state).answers():
        if as_json:
            click.echo(json.dumps({"daemon": None, "runs": []}))
        else:
            click.echo(
                f"no daemon runs (state folder {state}); `buoy daemon start` or the next run starts one"
            )
        raise click.exceptions.Exit(1)
    with DaemonLink(state) as link:
        answer = link.status()
    now_us = time.time_ns() // 1000
    if as_json:
        click.echo(json.dumps(_facts(answer)))
    else:
        _show(answer, now_us, everything=everything)


daemon.add_command(status)


def _show(answer: v1.StatusResponse, now_us: int, *, everything: bool) -> None:
    age_s = now_us / 1e6 - answer.started_unix_us / 1e6
    click.echo(
        f"daemon {answer.version}, pid {answer.pid}, up {age_s:.0f} s, {answer.core} core, "
        f"{answer.rss_bytes / 2**20:.0f} MiB, {'started by a run' if answer.auto_started else 'started by hand'}"
    )
    for run in answer.runs:
        click.echo(_run_line(run))
        writers = by_trouble([writer_of(item) for item in run.writers], now_us)
        shown = writers
        if len(writers) > _ROWS_MAX and not everything:
            shown = in_trouble(writers, now_us)[:_ROWS_MAX]
        if shown:
            _console().print(_table(shown, now_us))
        if len(shown) < len(writers):
            for line in collapsed(writers, now_us):
                click.echo(f"    {_line(line)}")
            click.echo(f"    {len(shown)} of {len(writers):,} processes shown; `buoy status --all` shows all")


def _console() -> Console:
    # A line for each process, however wide: what is cut off cannot be searched for.
    return Console(width=10_000, highlight=False, markup=False)


def _table(writers: list[Writer], now_us: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("    rank", justify="right")
    for name in ("local", "node", "pid", "state", "last step", "last row", "backlog", ""):
        right = name in {"local", "pid", "last step", "last row", "backlog"}
        table.add_column(name, justify="right" if right else "left")
    for item in writers:
        table.add_row(
            f"    {item.rank}",
            str(item.local_rank),
            item.node,
            str(item.pid),
            item.state,
            "-" if item.last_step is None else f"{item.last_step:,}",
            ago(item.last_row_us, now_us),
            size(item.backlog_bytes),
            item.trouble(now_us),
        )
    return table


def _line(line: Line) -> str:
    steps = "" if line.steps is None else f", last steps {line.steps[0]:,} to {line.steps[1]:,}"
    waiting = f", {size(line.backlog_bytes)} to upload" if line.backlog_bytes else ""
    return f"{line.node}: {line.count:,} {line.state}{steps}{waiting}"


def ago(time_us: int, now_us: int) -> str:
    """A moment as people say it."""
    if not time_us:
        return "-"
    seconds = max(0.0, (now_us - time_us) / 1e6)
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def size(count: int) -> str:
    """Bytes as people say them."""
    if count == 0:
        return "-"
    for unit_bytes, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit_bytes:
            return f"{count / unit_bytes:.1f} {unit}"
    return f"{count} B"


def _run_line(run: v1.RunStatus) -> str:
    info = run.run
    live = sum(writer.state == 1 for writer in run.writers)
    waiting = run.next_seq - run.acked_seq
    upload = "offline" if run.upload_state == "offline" else f"{waiting:,} to upload ({run.upload_state})"
    trouble = f": {run.upload_error}" if run.upload_error else ""
    dropped = sum(writer.records_dropped for writer in run.writers)
    more = [f"the log cannot be written: {run.log_error}"] if run.log_error else []
    more += [f"{dropped:,} records dropped for want of room"] if dropped else []
    return (
        f"  {info.entity or 'local'}/{info.project}/{info.run_id}  {info.name}  "
        f"{f'{live} writing' if live else 'ended'}  {run.next_seq:,} records, {upload}{trouble}\n    {run.run_dir}"
        + "".join(f"\n    {line}" for line in more)
    )


_STATES = {1: "running", 2: "finished", 3: "failed", 4: "killed", 5: "crashed"}


def writer_of(item: v1.WriterStatus) -> Writer:
    """What the daemon says of a process."""
    return Writer(
        rank=item.rank,
        local_rank=item.local_rank,
        node=item.host or "?",
        pid=item.pid,
        state=_STATES.get(item.state, "?"),
        alive=item.alive,
        last_step=item.last_step if item.HasField("last_step") else None,
        last_row_us=item.last_row_unix_us,
        backlog_bytes=item.backlog_bytes,
        records_dropped=item.records_dropped,
        forked=item.forked,
    )


def _facts(answer: v1.StatusResponse) -> dict[str, Any]:
    return {
        "daemon": {
            "version": answer.version,
            "pid": answer.pid,
            "started_us": answer.started_unix_us,
            "core": answer.core,
            "rss_bytes": answer.rss_bytes,
        },
        "runs": [_run_facts(run) for run in answer.runs],
    }


def _run_facts(run: v1.RunStatus) -> dict[str, Any]:
    info = run.run
    return {
        "run": f"{info.entity or 'local'}/{info.project}/{info.run_id}",
        "name": info.name,
        "attempt": run.attempt,
        "folder": run.run_dir,
        "url": run.url,
        "records": run.next_seq,
        "records_uploaded": run.acked_seq,
        "upload_state": run.upload_state,
        "upload_error": run.upload_error,
        "log_error": run.log_error,
        "writers": [writer_of(item).facts() for item in run.writers],
    }
