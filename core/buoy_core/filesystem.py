"""Which kind of file system a folder is on: whether it belongs to this machine, and whether it outlives a restart.

The kernel's `statfs` names the type by a number. That is all it takes: no mount table to parse, no path to compare,
and it is right inside containers too. Only FUSE hides behind one number what may be a local disk or the other end
of the world; there the mount table has the word.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_REMOTE = {
    0x6969: "nfs",
    0x517B: "smb",
    0xFF534D42: "cifs",
    0xFE534D42: "smb",
    0x01021997: "9p",
    0x0BD00BD0: "lustre",
    0x47504653: "gpfs",
    0x19830326: "beegfs",
    0x00C36400: "ceph",
    0x65735546: "fuse",
    0x5346414F: "afs",
    0x6B414653: "afs",
    0x73757245: "coda",
    0x564C: "ncp",
    0x01161970: "gfs2",
    0x7461636F: "ocfs2",
    0x20030528: "orangefs",
    0xAAD7AAEA: "panfs",
    0x013111A8: "ibrix",
    0xBEEFDEAD: "snfs",
    0xBACBACBC: "vmhgfs",
    0x786F4256: "vboxsf",
    0x7C7C6673: "prl_fs",
}
_MEMORY = {0x01021994: "tmpfs", 0x858458F6: "ramfs"}
_FUSE = 0x65735546
_LOCAL_FUSE = {"fuseblk", "fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.ntfs"}
"""Kinds of FUSE whose data is on a disk of this machine: disks of other systems, and roots of containers."""

_STATFS_BYTES = 512
"""More than any system's struct statfs; its first word is the type."""


def remote_kind(path: str | os.PathLike[str]) -> str:
    """The name of the network file system that `path` (or its nearest folder that exists) is on; empty for a local one.

    Elsewhere than on Linux, where nothing is known, the answer is empty.
    """
    kind = _type_of(path)
    if kind == _FUSE and _mounted_as(path) in _LOCAL_FUSE:
        return ""
    return _REMOTE.get(kind, "")


def in_memory(path: str | os.PathLike[str]) -> bool:
    """Whether what is stored there is gone when the machine restarts."""
    return _type_of(path) in _MEMORY


def _type_of(path: str | os.PathLike[str]) -> int:
    """The type number that statfs gives; 0 if it gives none."""
    if not sys.platform.startswith("linux"):
        return 0
    found = ctypes.create_string_buffer(_STATFS_BYTES)
    statfs = ctypes.CDLL(None, use_errno=True).statfs
    if statfs(os.fsencode(_existing(Path(path))), found) != 0:
        return 0
    # A signed long in the kernel's eyes; the table has the 32 bits that count.
    return ctypes.c_long.from_buffer(found).value & 0xFFFFFFFF


def _existing(path: Path) -> Path:
    return next((each for each in (path, *path.parents) if each.exists()), Path("/"))


def _mounted_as(path: str | os.PathLike[str]) -> str:
    """The file system's name in the mount table, such as `fuse.sshfs`; empty if it is not there."""
    try:
        device = _existing(Path(path)).stat().st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            # 36 35 98:0 /root /mount/point options [optional fields] - type source options
            mount, _, kind = line.partition(" - ")
            if mount.split()[2] == wanted:
                return kind.split()[0]
    except (OSError, IndexError):
        return ""
    return ""
