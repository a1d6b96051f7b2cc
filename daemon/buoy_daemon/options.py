"""What a daemon is told on its command line."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from buoy_core.format import WAL_SEGMENT_BYTES


@dataclass(frozen=True)
class Options:
    """Settings of one daemon process; times in seconds."""

    state_dir: Path
    auto: bool = False
    foreground: bool = False
    supervised: bool = False
    idle_exit_s: float = 600.0
    sync_interval_s: float = 1.0
    sample_interval_s: float = 10.0
    append_grace_s: float = 60.0
    unseen_grace_s: float = 24 * 3600.0
    upload_timeout_s: float = 30.0
    housekeeping_interval_s: float = 3600.0
    log_segment_bytes: int = WAL_SEGMENT_BYTES

    def words(self) -> list[str]:
        """The command line for a daemon like this one; what it tells its terminal and its parent is left out."""
        words = ["--state-dir", str(self.state_dir), *(["--auto"] if self.auto else [])]
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, (bool, Path)):
                words += ["--" + each.name.replace("_", "-"), str(value)]
        return words
