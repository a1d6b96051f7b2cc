"""buoy: experiment tracking you run yourself.

    import buoy

    with buoy.init(project="digits", config={"lr": 0.1}) as run:
        for step in range(100):
            run.log({"loss": 1 / (step + 1)})

`import buoy as wandb` is meant to work: the names are those of the field's best known API. Importing this loads next to
nothing; each name brings what it needs when it is first used.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType

from buoy._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from buoy.api import Api
    from buoy.credentials import login
    from buoy.errors import (
        AuthenticationError,
        CommError,
        ConfigError,
        CoreNotAvailableError,
        Error,
        UnsupportedError,
        UsageError,
    )
    from buoy.requirements import require
    from buoy.settings import Settings
    from buoy.tracking.config import Config
    from buoy.tracking.initialise import init
    from buoy.tracking.metric import Metric
    from buoy.tracking.run import Run
    from buoy.tracking.summary import Summary

    run: Run | None
    config: Config
    summary: Summary

__all__ = [
    "Api",
    "AuthenticationError",
    "CommError",
    "Config",
    "ConfigError",
    "CoreNotAvailableError",
    "Error",
    "Run",
    "Settings",
    "Summary",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "config",
    "define_metric",
    "finish",
    "init",
    "log",
    "login",
    "require",
    "run",
    "summary",
]

_HOME = {
    "Api": "buoy.api",
    "AuthenticationError": "buoy.errors",
    "CommError": "buoy.errors",
    "Config": "buoy.tracking.config",
    "ConfigError": "buoy.errors",
    "CoreNotAvailableError": "buoy.errors",
    "Error": "buoy.errors",
    "Run": "buoy.tracking.run",
    "Settings": "buoy.settings",
    "Summary": "buoy.tracking.summary",
    "UnsupportedError": "buoy.errors",
    "UsageError": "buoy.errors",
    "init": "buoy.tracking.initialise",
    "login": "buoy.credentials",
    "require": "buoy.requirements",
}
"""Where each name lives; it is imported when it is first used."""

_NOT_YET = {
    "AlertLevel", "Artifact", "Audio", "Histogram", "Html", "Image", "Object3D", "Plotly", "Table", "Video", "agent",
    "alert", "link_model", "log_artifact", "log_model", "plot", "save", "sweep", "unwatch", "use_artifact",
    "use_model", "watch",
}  # fmt: skip
"""Names of the field's API that this version does not have; asking for one deserves a clear answer."""


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
    """`Run.log()` of the active run."""
    (_active() or _require_active("log()")).log(data, step, commit)


def define_metric(  # noqa: PLR0917  the field's signature
    name: str,
    step_metric: str | Metric | None = None,
    step_sync: bool | None = None,
    hidden: bool | None = None,
    summary: str | None = None,
    goal: str | None = None,
    overwrite: bool | None = None,
) -> Metric:
    """`Run.define_metric()` of the active run."""
    run: Run = _active() or _require_active("define_metric()")
    return run.define_metric(name, step_metric, step_sync, hidden, summary, goal, overwrite)


def finish(exit_code: int | None = None, quiet: bool | None = None, wait: str | None = None) -> None:
    """`Run.finish()` of the active run; does nothing if there is none."""
    if _active() is not None:
        _active().finish(exit_code, quiet, wait)


def _active() -> Any:
    # What was never imported has no run.
    session = sys.modules.get("buoy.tracking.session")
    return session.active() if session is not None else None


def _require_active(what: str) -> Any:
    from buoy.tracking.session import require_active  # noqa: PLC0415  `import buoy` must not pay for it

    return require_active(what)


class _BeforeInit:
    """Stands for the configuration or summary of a run that is not there yet."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        object.__setattr__(self, "_what", what)

    def _run_object(self, used: str) -> Any:
        return getattr(_require_active(f"{self._what}{used}"), self._what)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._run_object(f".{name}"), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._run_object(f".{name}"), name, value)

    def __getitem__(self, key: str) -> Any:
        return self._run_object(f"[{key!r}]")[key]

    def __setitem__(self, key: str, value: object) -> None:
        self._run_object(f"[{key!r}]")[key] = value

    def __repr__(self) -> str:
        return f"<buoy.{self._what}: no run yet>"


class _Module(ModuleType):
    """The package, with the names whose meaning changes with the active run."""

    @property
    def run(self) -> Any:
        """The active run, or None."""
        return _active()

    @property
    def config(self) -> Any:
        """The configuration of the active run."""
        return _BeforeInit("config") if _active() is None else _active().config

    @config.setter
    def config(self, value: object) -> None:
        if _active() is None:
            _BeforeInit("config")._run_object("")
        _active().config = value

    @property
    def summary(self) -> Any:
        """The summary of the active run."""
        return _BeforeInit("summary") if _active() is None else _active().summary


def __getattr__(name: str) -> Any:
    if home := _HOME.get(name):
        if os.name == "nt" and home.startswith("buoy.tracking"):
            raise import_module("buoy.errors").Error(
                "buoy runs on Linux and macOS; on Windows, use it in WSL"
            )
        try:
            value = getattr(import_module(home), name)
        except ImportError as error:
            if not str(error).startswith("BUOY_CORE"):
                raise
            raise import_module("buoy.errors").CoreNotAvailableError(str(error)) from None
        globals()[name] = value
        return value
    if name in _NOT_YET:
        raise AttributeError(f"this version of buoy ({__version__}) does not have buoy.{name} yet")
    raise AttributeError(f"module 'buoy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


sys.modules[__name__].__class__ = _Module
