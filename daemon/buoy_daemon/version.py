"""The version of the distribution this daemon came with; clients replace a daemon that is older than they are."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The installed version of buoy, or "0+unknown" in a source tree that was never installed."""
    try:
        return metadata.version("buoy")
    except metadata.PackageNotFoundError:
        return "0+unknown"
