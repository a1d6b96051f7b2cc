"""The commands, and how their errors look."""

from __future__ import annotations

import importlib.util
import os
import sys

import click

from buoy._version import __version__
from buoy.cli import clean, daemon, doctor, export, runs, status, sync
from buoy.errors import Error


class _Group(click.Group):
    """Turns errors of ours into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Error as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:
            # `buoy show ... | head`: nobody reads on, and that is fine.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="buoy")
def main() -> None:
    """Experiment tracking you run yourself."""


@main.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def server(arguments: tuple[str, ...]) -> None:
    """Start the server with its dashboard (`buoy server --help` has its options)."""
    if importlib.util.find_spec("buoy_server") is None or importlib.util.find_spec("starlette") is None:
        raise click.ClickException("the server is not installed here; run: pip install 'buoy[server]'")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "buoy_server", *arguments])


@main.command()
@click.argument("key", required=False)
@click.option("--host", help="URL of the server.")
@click.option("--relogin", is_flag=True, help="Ask for a key even if one is stored.")
@click.option("--verify/--no-verify", default=True, help="Ask the server whether it takes the key.")
def login(key: str | None, host: str | None, relogin: bool, verify: bool) -> None:
    """Store the key of a server. Not needed on the server's own machine."""
    from buoy.credentials import login as store  # noqa: PLC0415  only here

    store(key, host=host, relogin=relogin, verify=verify, force=True)
    click.echo("the key is stored")


main.add_command(clean.clean)
main.add_command(daemon.daemon)
main.add_command(status.status)
main.add_command(doctor.doctor)
main.add_command(export.export)
main.add_command(runs.restore)
main.add_command(runs.rm)
main.add_command(runs.runs)
main.add_command(runs.show)
main.add_command(runs.stop)
main.add_command(sync.sync)
