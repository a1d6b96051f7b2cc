"""Simulated nodes: host names, networks and disks of their own, as far as this user may make them.

Root can give each node a host name, put it into a network namespace behind a bridge, and take the outbox away from a
rank as a container without a shared disk has it. Anybody else gets nodes that share the machine's name and its loopback
device: state folders and daemons are apart all the same.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SUBNET = "10.213.77"
"""Used by nobody else on this machine, hopefully; two clusters at a time cannot both have one."""


@dataclass
class Network:
    """A bridge with a leg for each node.

    Attributes:
        address: Where a server listens that all nodes can reach.
        namespaces: Their names; empty where there are none.
    """

    address: str = "127.0.0.1"
    namespaces: list[str] = field(default_factory=list)

    def prefix(self, number: int) -> list[str]:
        """What to put before a command so that it runs on a node."""
        return ["ip", "netns", "exec", self.namespaces[number]] if number < len(self.namespaces) else []

    def set_link(self, number: int, *, up: bool) -> None:
        """Cuts a node off, or connects it again."""
        _ip("link", "set", _leg(self.namespaces[number]), "up" if up else "down")


@contextlib.contextmanager
def network(nodes: int) -> Iterator[Network]:
    """A network with so many nodes in namespaces of their own; one without any if that cannot be made."""
    bridge = f"by{os.getpid()}"
    names = [f"{bridge}n{number}" for number in range(nodes)] if os.geteuid() == 0 else []
    try:
        made = bool(names) and _make(bridge, names)
        yield Network(f"{SUBNET}.1", names) if made else Network()
    finally:
        for name in names:
            _ip("netns", "del", name, check=False)
        if names:
            _ip("link", "del", bridge, check=False)


def _make(bridge: str, names: Sequence[str]) -> bool:
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{SUBNET}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for number, name in enumerate(names):
            _ip("netns", "add", name)
            _ip("link", "add", _leg(name), "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", _leg(name), "master", bridge, "up")
            _ip("-n", name, "addr", "add", f"{SUBNET}.{number + 2}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _leg(name: str) -> str:
    # Names of devices have 15 characters at most.
    return f"v{name}"


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True, timeout=30)


def host_prefix(host: str, hidden: Path | None = None) -> list[str]:
    """What to put before a command so that it sees a host name of its own; nothing if that needs more rights.

    Args:
        host: The name.
        hidden: A folder in whose place it sees a disk of its own, which goes when its processes do.
    """
    if os.geteuid() != 0:
        return []
    script = f"hostname {host} && "
    if hidden is not None:
        script += f"mkdir -p '{hidden}' && mount -t tmpfs none '{hidden}' && "
    return ["unshare", "--uts", "--mount", "sh", "-c", script + 'exec "$@"', "sh"]
