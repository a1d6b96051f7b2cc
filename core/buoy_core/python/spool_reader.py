"""The spool reader with its frames checked and copied in plain Python."""

from __future__ import annotations

from buoy_core.python.frames import scan_frames, walk_frames
from buoy_core.segment import Segment
from buoy_core.spool_reader import SpoolReaderBase


class SpoolReader(SpoolReaderBase):
    """See `buoy_core.spool_reader.SpoolReaderBase`."""

    _scan = staticmethod(scan_frames)
    _walk = staticmethod(walk_frames)
    _open = staticmethod(Segment.open)
