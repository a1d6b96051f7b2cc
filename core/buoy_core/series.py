"""The loops over points that the server draws from, in the implementation that serves."""

from __future__ import annotations

from buoy_core import implementation

TYPE_CHECKING = False
if TYPE_CHECKING or implementation() == "compiled":
    from buoy_core._compiled.series import (
        reduce_points,
        smooth_ema,
        smooth_gaussian,
        smooth_running,
        smooth_twema,
    )
else:
    from buoy_core.python.series import (
        reduce_points,
        smooth_ema,
        smooth_gaussian,
        smooth_running,
        smooth_twema,
    )

__all__ = ["reduce_points", "smooth_ema", "smooth_gaussian", "smooth_running", "smooth_twema"]
