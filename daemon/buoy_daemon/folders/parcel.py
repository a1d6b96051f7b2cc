"""A run's folder on its way to a server, as far as its log reached when somebody asked for it."""

from __future__ import annotations

from pathlib import Path

from buoy_daemon.folders.folder_log import FolderLog


class Parcel:
    """See `Consignment`. The server says where to begin: an ack.json may be old, or of another server."""

    is_new = False
    keeps_ack = False

    def __init__(self, folder: FolderLog, base_url: str, end_seq: int) -> None:
        self.folder = folder
        self.began_seq: int | None = None
        """What the server had before; None = it has not said yet."""
        self._acked_seq = 0
        self.synced_seq = self.next_seq = end_seq
        self.closed = True
        self.log_is_short = False
        self.hidden = False
        self.lost: list[str] = []
        self._base_url = base_url

    @property
    def stream_id(self) -> bytes:
        """16 random bytes."""
        return self.folder.stream_id

    @property
    def acked_seq(self) -> int:
        """The server has every record below."""
        return self._acked_seq

    @acked_seq.setter
    def acked_seq(self, seq: int) -> None:
        if self.began_seq is None:
            self.began_seq = seq
        self._acked_seq = seq

    @property
    def base_url(self) -> str:
        """The server."""
        return self._base_url

    @property
    def run_dir(self) -> str:
        """The run's folder."""
        return str(self.folder.run_dir)

    @property
    def wal_dir(self) -> Path:
        """Where the log's segments are."""
        return self.folder.run_dir / "wal"

    @property
    def uploaded(self) -> bool:
        """Whether the server has everything."""
        return self.acked_seq >= self.next_seq

    def extend(self, end_seq: int) -> None:
        """The log is longer now."""
        self.synced_seq = self.next_seq = max(self.next_seq, end_seq)
