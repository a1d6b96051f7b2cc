"""The command `buoy`."""

from buoy.cli.main import main

__all__ = ["main"]
