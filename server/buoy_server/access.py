"""The server's token: made at the first start, kept in the data folder, published to clients of the same user."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from pathlib import Path

from buoy_core import state

from buoy_server.errors import StartError


def load_token(data_dir: Path) -> str:
    """The token of the server that lives in `data_dir`; makes one (0600) if there is none."""
    path = data_dir / "token"
    try:
        token = path.read_text(encoding="ascii").strip()
        if token:
            return token
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(
            f"the token file {path} cannot be read ({error}); make it readable or delete it for a new token"
        ) from error
    token = secrets.token_urlsafe(24)
    try:
        _write(path, token)
    except OSError as error:
        raise StartError(
            f"the token file {path} cannot be written ({error.strerror}); make room, or choose another --data-dir"
        ) from error
    return token


def _write(path: Path, token: str) -> None:
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def publish_token(base_url: str, token: str) -> None:
    """Tells the SDK and the daemon of this user how to reach the server. A state folder that cannot be written is no
    fault of the server: such clients are given the token by hand."""
    aliases = {base_url}
    for name, other in (
        ("//127.0.0.1:", "//localhost:"),
        ("//0.0.0.0:", "//127.0.0.1:"),
        ("//0.0.0.0:", "//localhost:"),
    ):
        aliases.add(base_url.replace(name, other))
    with contextlib.suppress(OSError):
        folder = state.state_dir()
        for url in sorted(aliases):
            state.store_api_key(folder, url, token)


def same_token(given: str, token: str) -> bool:
    """Compares in constant time, so that answers do not tell how much of a guess is right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
