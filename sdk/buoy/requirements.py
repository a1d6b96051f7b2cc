"""`buoy.require()`: asks for something that must not be missing silently."""

from __future__ import annotations

from collections.abc import Iterable

from buoy.errors import CoreNotAvailableError, UnsupportedError

_HOW = (
    "Install a wheel of buoy for this platform, "
    "or, in a source tree with a C compiler, run `python core/build_core.py`"
)


def require(requirement: str | Iterable[str]) -> None:
    """Makes sure of a feature.

    Args:
        requirement: one name or several. "core": the compiled data path, not the plain-Python one that may serve.

    Raises:
        CoreNotAvailableError: the compiled core cannot be imported, or `BUOY_CORE=python` has chosen the other.
        UnsupportedError: there is no such feature; the message lists what there is.
    """
    names = [requirement] if isinstance(requirement, str) else list(requirement)
    for name in names:
        if name not in _FEATURES:
            raise UnsupportedError(
                f"buoy.require({name!r}): there is no such feature; known: {', '.join(_FEATURES)}"
            )
    for name in names:
        _FEATURES[name]()


def _require_core() -> None:
    try:
        import buoy_core  # noqa: PLC0415  only who asks for it pays for it
    except ImportError as error:
        raise CoreNotAvailableError(f"{error}. {_HOW}") from None
    if (reason := buoy_core.compiled_error()) is not None:
        raise CoreNotAvailableError(f"the compiled core is not available: {reason}. {_HOW}")
    if buoy_core.implementation() != "compiled":
        raise CoreNotAvailableError(
            "BUOY_CORE=python chose the plain-Python core; unset it to get the compiled one"
        )


_FEATURES = {"core": _require_core}
