"""Which server a folder goes to. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from buoy_core.state import normalise_base_url

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def destination(own: str, wanted: str, default: str, *, from_here: bool) -> str:
    """The server's address; empty if there is none.

    Args:
        own: the server that the run was recorded for; empty if it was offline.
        wanted: the one that the user names for all; empty if there is none.
        default: the one that is configured.
        from_here: the run was recorded on this machine. Otherwise a server on "this machine" was one on that machine.
    """
    if wanted:
        return normalise_base_url(wanted)
    if own and (from_here or not _is_loopback(own)):
        return own
    return normalise_base_url(default)


def same_server(one: str, other: str) -> bool:
    """Whether two addresses are the same."""
    return normalise_base_url(one) == normalise_base_url(other)


def _is_loopback(base_url: str) -> bool:
    try:
        return urlsplit(base_url).hostname in _LOOPBACK
    except ValueError:
        return False
