"""The spool reader with its frames checked and copied by compiled code, and offsets loaded with acquire order."""

from __future__ import annotations

from buoy_core._compiled.frames import load_committed, scan_frames, walk_frames
from buoy_core.format import SPOOL_COMMITTED_AT
from buoy_core.segment import Segment
from buoy_core.spool_reader import SpoolReaderBase


class CompiledSegment(Segment):
    """A segment whose committed offset is safe to act on, whatever the processor reorders."""

    @property
    def committed(self) -> int:
        """Bytes of complete frames."""
        return load_committed(self.view, SPOOL_COMMITTED_AT)


class SpoolReader(SpoolReaderBase):
    """See `buoy_core.spool_reader.SpoolReaderBase`. `read()` releases the GIL."""

    _scan = staticmethod(scan_frames)
    _walk = staticmethod(walk_frames)
    _open = staticmethod(CompiledSegment.open)
