"""Where the state folder is when it cannot be where it should.

    wanted: BUOY_STATE_DIR, or the user's state folder (usually ~/.local/state/buoy)
       on a disk of this machine, ours alone, writable ──> there
       else ──> /var/tmp, /tmp or /dev/shm: buoy-<uid>-<checksum of the wanted path>

A spool is memory that training writes and that the kernel brings to disk. On a network file system a server that stalls
would stop training, one that fails would kill it, and two machines would take each other's spools for their own. So it
is never there, whoever asked for it. Trainer, daemon and command line come to the same place because nothing counts but
the wanted path and what the machine says of it: no variable that a job scheduler sets anew, and not XDG_RUNTIME_DIR,
which goes away when the user logs out, with the training still running.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from buoy_core.filesystem import in_memory, remote_kind

LOCAL_PARENTS = ("/var/tmp", "/tmp", "/dev/shm")
"""Where everybody may make a folder of their own; what outlives a restart comes first."""


class Placement(NamedTuple):
    """Where the state folder is.

    Attributes:
        folder: it, made (0700) and ours.
        wanted: where it should be.
        reason: why it is not there, to go on "<wanted> ..."; empty if it is.
        made: it was made just now.
    """

    folder: Path
    wanted: Path
    reason: str = ""
    made: bool = False

    @property
    def notice(self) -> str:
        """What a user has to know about it; empty if there is nothing."""
        if not self.reason:
            return ""
        if self.folder == self.wanted:
            return f"{self.wanted} {self.reason}, and no other place can be used: set BUOY_STATE_DIR to a local folder"
        memory = (
            " That is memory: what is not in a run's folder yet is lost if the machine restarts."
            if in_memory(self.folder)
            else ""
        )
        return (
            f"the state folder {self.wanted} {self.reason}; socket and spools are in {self.folder} instead.{memory} "
            "BUOY_STATE_DIR names another local folder"
        )


def place(wanted: Path) -> Placement:
    """Finds the place, and makes the folder.

    Raises:
        OSError: there is none that can be used.
    """
    made = not wanted.exists()
    reason = refusal(wanted)
    if not reason:
        return Placement(wanted, wanted, made=made)
    for folder in local_folders(wanted):
        made = not folder.exists()
        if not refusal(folder):
            if made:
                _share_credentials(folder, wanted)
            return Placement(folder, wanted, reason, made)
    if wanted.is_dir() and os.access(wanted, os.W_OK | os.X_OK) and is_private(wanted):
        # Better a slow place than none.
        return Placement(wanted, wanted, reason, made)
    raise OSError(f"{wanted} {reason}, and none of {', '.join(LOCAL_PARENTS)} can be used")


def local_folders(wanted: Path) -> list[Path]:
    """Where the folder may be in place of `wanted`, best first. They need not exist."""
    name = f"buoy-{os.getuid()}-{crc32(os.fsencode(wanted)):08x}"
    return [Path(parent) / name for parent in LOCAL_PARENTS]


def leftovers(wanted: Path, used: Path) -> list[Path]:
    """Other places where the state folder was for a time, and where something waits for a daemon."""
    return [folder for folder in (wanted, *local_folders(wanted)) if folder != used and _has_work(folder)]


def _has_work(folder: Path) -> bool:
    try:
        work = any((folder / "spool").iterdir()) or any((folder / "streams").glob("*.json"))
    except OSError:
        return False
    return work and is_private(folder) and not refusal(folder)


def refusal(folder: Path) -> str:
    """Makes `folder` (0700) and says why it is no place for spools; empty if it is one."""
    kind = remote_kind(folder)
    if kind:
        # Not even made: that may take long, and would leave a folder that nobody uses.
        return f"is on a network file system ({kind})"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        why = _not_private(folder)
    except OSError as error:
        return f"cannot be used ({error.strerror or error})"
    return why or ("" if os.access(folder, os.W_OK | os.X_OK) else "cannot be written")


def check_private(folder: Path) -> None:
    """Makes sure that a folder is ours alone.

    gRPC in Python does not tell a handler which user is at the other end of a Unix socket. So the folder is what keeps
    others out: nobody else may pass through it to the socket. And nobody else may have put a socket there for us.

    Raises:
        PermissionError: It belongs to someone else, is shared, or is no folder.
        OSError: It cannot be looked at.
    """
    why = _not_private(folder)
    if why:
        raise PermissionError(f"{folder} {why}; name a folder of your own")


def is_private(folder: Path) -> bool:
    """Whether `check_private` has nothing against it."""
    try:
        return not _not_private(folder)
    except OSError:
        return False


def _not_private(folder: Path) -> str:
    # A link of our own to a larger disk is fine; somebody else's in a shared folder is a trap.
    for found in (folder.lstat(), folder.stat()):
        if found.st_uid != os.getuid():
            return f"belongs to another user (uid {found.st_uid})"
    if not stat.S_ISDIR(found.st_mode):
        return "is no folder"
    if found.st_mode & stat.S_ISVTX:
        return "is a shared folder like /tmp"
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return ""


def _share_credentials(folder: Path, wanted: Path) -> None:
    """Keys stored on one machine of a cluster serve on all: the file stays in the home that they share."""
    with contextlib.suppress(OSError):
        (folder / "credentials.json").symlink_to(wanted / "credentials.json")
