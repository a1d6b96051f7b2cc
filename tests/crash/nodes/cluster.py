"""A job's nodes and the processes on them: a daemon each, and the ranks, which launchers would have started.

Starting, stopping and looking only; when that happens is the plan's business.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.crash.chaos.machines import ROOT, Machine, Server
from tests.crash.chaos.trainer import set_stop
from tests.crash.nodes.network import Network, host_prefix
from tests.crash.nodes.rank import Account, read_account
from tests.crash.stack import Stack

PRIVATE_HOST = "container"


@dataclass(frozen=True)
class Job:
    """What all ranks of a job are told.

    Attributes:
        name: The rendezvous id.
        nodes: How many machines.
        local: Ranks on each.
        steps: Rows that each rank logs.
        pause_s: Time between them.
    """

    name: str
    nodes: int
    local: int
    steps: int
    pause_s: float

    @property
    def size(self) -> int:
        return self.nodes * self.local

    def environment(self, rank: int, launch: int) -> dict[str, str]:
        """As torchrun sets it for a rank of a launch."""
        places = {
            "RANK": rank,
            "LOCAL_RANK": rank % self.local,
            "WORLD_SIZE": self.size,
            "LOCAL_WORLD_SIZE": self.local,
            "GROUP_RANK": rank // self.local,
            "TORCHELASTIC_RESTART_COUNT": launch,
            "MASTER_PORT": 29500,
        }
        named = {"MASTER_ADDR": "node0", "TORCHELASTIC_RUN_ID": self.name}
        return {name: str(number) for name, number in places.items()} | named


class Node(Machine):
    """A machine of the job: state folder, host name, and perhaps a network of its own."""

    def __init__(
        self, folder: Path, number: int, server: Stack, network: Network, shared: Path | None
    ) -> None:
        folder.mkdir()
        stack = Stack(folder)
        super().__init__(stack)
        self.number = number
        self.host = f"node{number}"
        self.prefix = [*network.prefix(number), *host_prefix(self.host)]
        self.has_link = bool(network.prefix(number))
        self._network = network
        # Killed daemons are started by whoever comes: with the name that all of the node have.
        stack.environment |= {
            "BUOY_BASE_URL": server.base_url,
            "PYTHONPATH": str(ROOT),
            "BUOY_START_TIMEOUT": "2",
        }
        if shared is not None:
            stack.environment["BUOY_DIR"] = str(shared)

    def set_link(self, *, up: bool) -> None:
        """Cuts the node off from the server, or connects it."""
        self._network.set_link(self.number, up=up)

    def start_rank(
        self, job: Job, rank: int, launch: int, base: int, *, transport: str, private: bool
    ) -> Rank:
        """Starts a rank.

        Args:
            job: Its job.
            rank: Which.
            launch: How often the job was started before.
            base: Its first step.
            transport: spool or grpc.
            private: Whether it is in a container that shares no disk with the daemon.
        """
        top = self.folder.parent
        journal = top / "journals" / f"{launch}.{rank}.journal"
        options = {
            "journal": str(journal),
            "stop": str(top / "journals" / "stop"),
            "base": base,
            "steps": job.steps,
            "pause_s": job.pause_s,
            "transport": transport,
            "private": private,
        }
        prefix = self.prefix
        if private:
            outbox = Path(self.stack.environment["BUOY_STATE_DIR"]) / "outbox"
            prefix = [*self._network.prefix(self.number), *host_prefix(f"{PRIVATE_HOST}{rank}", outbox)]
        with (top / "logs" / f"{launch}.{rank}.log").open("ab") as output:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "tests.crash.nodes.rank", json.dumps(options)],
                env=self.stack.environment | job.environment(rank, launch),
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
            )
        return Rank(self, rank, launch, base, journal, process)


@dataclass
class Rank:
    """A process of the job."""

    node: Node
    rank: int
    launch: int
    base: int
    journal: Path
    process: subprocess.Popen[bytes]
    killed: bool = False

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL: the prefix of its command has made way for it."""
        self.killed = True
        self.process.kill()
        self.process.wait()

    def account(self) -> Account:
        return read_account(self.journal)

    def complaint(self) -> str:
        """What is wrong with how it ended, empty if nothing is."""
        status = self.process.poll()
        log = (self.node.folder.parent / "logs" / f"{self.launch}.{self.rank}.log").read_text(
            errors="replace"
        )
        if "Traceback" in log or (status != 0 and not self.killed):
            return f"rank {self.rank} of launch {self.launch} ended with {status}: {log[-1000:]}"
        return ""


class Cluster:
    """A server and the nodes of a job. Use as a context manager: at its end no process is left.

    Args:
        folder: Empty; gets everything.
        job: What runs.
        network: Who can reach whom.
        shared: Whether the nodes keep their run folders on one file system.
    """

    def __init__(self, folder: Path, job: Job, network: Network, *, shared: bool) -> None:
        self.folder = folder
        self.job = job
        self.ranks: list[Rank] = []
        for name in ("journals", "logs", "server"):
            (folder / name).mkdir()
        self.stop = folder / "journals" / "stop"
        self.stop.write_bytes(b"\0")
        self.stack = Stack(folder / "server", host=network.address)
        self.server = Server(self.stack)
        runs = folder / "runs" if shared else None
        self.nodes = [
            Node(folder / f"node{number}", number, self.stack, network, runs) for number in range(job.nodes)
        ]

    def __enter__(self) -> Cluster:
        self.stack.start_server()
        key = self.stack.api_key()
        for node in self.nodes:
            node.stack.environment["CHAOS_KEY"] = key
            node.store_key(self.stack.base_url)
        return self

    def __exit__(self, *_: object) -> None:
        set_stop(self.stop)
        for rank in self.ranks:
            if rank.alive:
                rank.kill()
        for node in self.nodes:
            node.kill_all_daemons()
        self.server.end(15)

    def start_rank(
        self, rank: int, launch: int, base: int, *, transport: str = "spool", private: bool = False
    ) -> None:
        node = self.nodes[rank // self.job.local]
        self.ranks.append(node.start_rank(self.job, rank, launch, base, transport=transport, private=private))

    def waiting(self) -> list[str]:
        """What is not wholly in a log, or not wholly on the server."""
        return [str(path) for node in self.nodes for path in node.open_ends()]

    def run_ids(self) -> set[str]:
        """What the ranks say that their run is."""
        return {run_id for rank in self.ranks if (run_id := rank.account().run_id)}
