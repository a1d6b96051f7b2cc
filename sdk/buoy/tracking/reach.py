"""Whether a server is within reach, asked without waiting for one."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_PROBE_TIMEOUT_S = 0.2


def is_local(base_url: str) -> bool:
    """Whether the server is on this machine, where the user can start it."""
    return urlsplit(base_url).hostname in _LOOPBACK


def listens(base_url: str) -> bool:
    """Whether a server on this machine listens. A name further away is not even looked up: that may take seconds."""
    if not is_local(base_url):
        return False
    parts = urlsplit(base_url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname, port), timeout=_PROBE_TIMEOUT_S):
            return True
    except (OSError, ValueError):
        return False
