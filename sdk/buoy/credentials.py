"""`buoy.login()`: remembers the key of a server for every process of this user."""

from __future__ import annotations

import getpass
import sys

from buoy_core.state import read_api_key, state_dir, store_api_key

from buoy.api.http import Http
from buoy.errors import AuthenticationError, CommError, UsageError
from buoy.settings import resolve
from buoy.tracking.messages import Messages


def login(  # noqa: PLR0917  the field's signature
    key: str | None = None,
    relogin: bool | None = None,
    host: str | None = None,
    force: bool | None = None,
    timeout: float | None = None,
    verify: bool = True,
) -> bool:
    """Makes sure that there is a key for the server, and stores it.

    On the server's own machine nothing needs to be done: it leaves its token where buoy finds it.

    Args:
        key: the key; by default that of `BUOY_API_KEY`, the stored one, or, at a terminal, the one typed in.
        relogin: ask for a key even if one is stored.
        host: URL of the server, `BUOY_BASE_URL` by default.
        force: raise instead of going on without a key.
        timeout: seconds to wait for the server when the key is verified.
        verify: ask the server whether it takes the key; if it cannot be reached, the key is stored unseen.

    Returns:
        Whether there is a key now.

    Raises:
        AuthenticationError: the server rejects the key; it is not stored then.
        UsageError: `force`, and there is no key.
    """
    messages = Messages()
    settings = resolve({"base_url": host, "api_key": key}, warn=messages.warn)
    state = state_dir()
    stored = None if relogin else read_api_key(state, settings.base_url)
    found = settings.api_key or stored
    if not found and (relogin or force or _wants_key(settings.base_url, timeout or 5.0)):
        found = _ask(settings.base_url)
    if not found:
        if force:
            raise UsageError(
                f"there is no key for {settings.base_url}; give login(key=...) or set BUOY_API_KEY"
            )
        return False
    if verify:
        _verify(settings.base_url, found, timeout or 5.0, messages)
    if found != stored:
        store_api_key(state, settings.base_url, found)
    return True


def _wants_key(base_url: str, timeout_s: float) -> bool:
    """Whether a server is there that asks for a key; without one nobody at a terminal should be asked either."""
    try:
        Http(base_url, "", timeout_s).get("/api/v1/projects")
    except AuthenticationError:
        return True
    except CommError:
        return False
    return False


def _ask(base_url: str) -> str:
    if not (sys.stdin and sys.stdin.isatty()):
        return ""
    return getpass.getpass(f"Key of {base_url} (it is in the link that `buoy server` prints): ").strip()


def _verify(base_url: str, key: str, timeout_s: float, messages: Messages) -> None:
    try:
        Http(base_url, key, timeout_s).get("/api/v1/projects")
    except AuthenticationError:
        raise
    except CommError as error:
        messages.warn(f"the key is stored, but could not be verified: {error}")
