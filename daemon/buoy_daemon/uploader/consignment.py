"""What the uploader sends: the log of a run that goes on here, or that of any run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Consignment(Protocol):
    """A log on its way to a server. The uploader changes `acked_seq`, `log_is_short`, `hidden` and `lost`."""

    acked_seq: int
    """The server has every record below."""
    synced_seq: int
    """Records from here on may not be sent yet: they may not be on disk."""
    next_seq: int
    """The end of the log."""
    closed: bool
    """Nothing more will come."""
    is_new: bool
    """No server can know of it yet."""
    keeps_ack: bool
    """Whether the server's answers are written down beside the log, and believed later."""
    log_is_short: bool
    """Whether the uploader has missed records that must be in the log."""
    hidden: bool
    """Whether the server has said that the run is deleted."""
    lost: list[str]
    """What of the log could not be read; the server was told of a gap in its place."""

    @property
    def stream_id(self) -> bytes:
        """16 random bytes."""

    @property
    def base_url(self) -> str:
        """The server; empty = there is none to send it to."""

    @property
    def run_dir(self) -> str:
        """The run's folder."""

    @property
    def wal_dir(self) -> Path:
        """Where the log's segments are."""

    @property
    def uploaded(self) -> bool:
        """Whether the server has everything, or there is none to send it to."""
