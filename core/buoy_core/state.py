"""Where things are on a machine: the one agreement between trainer, daemon and server that is not a format.

BUOY_STATE_DIR/                 0700, never on a network file system (see placement.py)
    daemon.sock                 the daemon's Unix socket (elsewhere if the path is too long)
    daemon.lock                 held with flock() by the running daemon, as the folder itself is: who it is, and
                                "serving" or "ending"
    supervisor                  who starts another daemon when that one is killed, and "running" or "pausing"
    daemon.log
    credentials.json            0600: {"http://host:port": {"api_key": "..."}}
    spool/<writer id>/          one folder for each writer
    outbox/<host>/<writer id>/  the same, of writers that send theirs to a daemon elsewhere
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from buoy_core.placement import Placement

DEFAULT_BASE_URL = "http://127.0.0.1:8765"

DAEMON_PROTOCOL = 1
"""Counts up when trainers and daemons of different versions must not talk to each other."""

# sockaddr_un.sun_path has 108 bytes on Linux and 104 on macOS, the final zero included.
_SOCKET_PATH_BYTES_MAX = 103


def state_dir() -> Path:
    """The state folder of this user, made if needed (0700); see `place_state_dir`."""
    return place_state_dir().folder


def place_state_dir() -> Placement:
    """Where the state folder of this user is, and why it is not where it should be.

    Raises:
        OSError: there is no place that can be used.
    """
    # Imported late, as it loads ctypes.
    from buoy_core.placement import place  # noqa: PLC0415

    return place(wanted_state_dir())


def wanted_state_dir() -> Path:
    """Where the user, or the system's custom, wants the state folder."""
    given = os.environ.get("BUOY_STATE_DIR")
    if given:
        return Path(given).expanduser().absolute()
    # Imported late: `import buoy` must not pay for it.
    from platformdirs import user_state_path  # noqa: PLC0415

    return user_state_path("buoy", appauthor=False)


def socket_path(folder: Path) -> Path:
    """The daemon's socket for a state folder; a short path under /tmp if that one is too long.

    Not under TMPDIR: trainer and daemon must agree, and schedulers set that anew for each job.
    """
    path = folder / "daemon.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES_MAX:
        return path
    name = f"{crc32(os.fsencode(folder)):08x}"
    return Path("/tmp") / f"buoy-{os.getuid()}-{name}" / "daemon.sock"


def lock_path(folder: Path) -> Path:
    """The file whose lock makes the daemon the only one."""
    return folder / "daemon.lock"


SERVING, ENDING = "serving", "ending"
"""What the lock file says of the daemon."""

PAUSING = "pausing"
"""What the supervisor's file says while it waits before it tries again."""


def supervisor_path(folder: Path) -> Path:
    """The file that names the daemon's supervisor."""
    return folder / "supervisor"


def log_path(folder: Path) -> Path:
    """The daemon's log file."""
    return folder / "daemon.log"


def spool_root(folder: Path) -> Path:
    """The folder that holds one spool for each writer."""
    return folder / "spool"


def outbox_root(folder: Path, host: str) -> Path:
    """The folder of the spools that are sent over gRPC.

    When such a writer has died, a daemon that can tell moves its spool to the others.
    """
    return folder / "outbox" / host.replace("/", "_")


def normalise_base_url(url: str) -> str:
    """`url` as it is used as a key: lower-case scheme and host, no slash at the end."""
    scheme, separator, rest = url.strip().partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}".rstrip("/")


def read_api_key(folder: Path, base_url: str) -> str | None:
    """The key stored for a server, or None. A damaged file counts as empty: the key can be given again."""
    entry = _read_credentials(folder).get(normalise_base_url(base_url))
    key = entry.get("api_key") if isinstance(entry, dict) else None
    return key if isinstance(key, str) else None


def store_api_key(folder: Path, base_url: str, api_key: str) -> None:
    """Remembers the key of a server; the file is replaced as a whole and readable by its owner only."""
    credentials = _read_credentials(folder)
    credentials[normalise_base_url(base_url)] = {"api_key": api_key}
    path = folder / "credentials.json"
    # A link leads to the home that several machines share; a home that is read-only does without it.
    if path.is_symlink():
        try:
            path.readlink().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(path.readlink(), credentials)
        except OSError:
            _replace(path, credentials)
    else:
        _replace(path, credentials)


def _replace(path: Path, credentials: dict[str, object]) -> None:
    temporary = path.with_name(f"credentials.{os.urandom(8).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(credentials, file, indent=1, sort_keys=True)
            file.flush()
            # Or a power cut leaves an empty file, and the keys have to be asked for again.
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _read_credentials(folder: Path) -> dict[str, object]:
    try:
        credentials = json.loads((folder / "credentials.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return credentials if isinstance(credentials, dict) else {}
