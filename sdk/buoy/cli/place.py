"""Where the commands find the state folder."""

from __future__ import annotations

from pathlib import Path

import click
from buoy_core.state import place_state_dir

from buoy.errors import CommError


def state_folder() -> Path:
    """The state folder; says on stderr if it is not where it should be.

    Raises:
        CommError: there is no place for it.
    """
    try:
        placement = place_state_dir()
    except OSError as error:
        raise CommError(
            f"the state folder cannot be made: {error}; set BUOY_STATE_DIR to a local folder"
        ) from None
    if placement.notice:
        click.echo(f"buoy: {placement.notice}", err=True)
    return placement.folder
