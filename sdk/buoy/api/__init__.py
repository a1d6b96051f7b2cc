"""Reading from the server: `buoy.Api()`."""

from buoy.api.client import Api
from buoy.api.run import Run
from buoy.api.runs import Runs

__all__ = ["Api", "Run", "Runs"]
