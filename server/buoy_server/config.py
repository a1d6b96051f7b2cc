"""Options of the server: command line before environment before default."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from buoy_server.errors import StartError

METADATA_SCHEMES = ("sqlite", "postgresql")
METRICS_SCHEMES = ("chdb", "clickhouse", "clickhouses")
OBJECTS_SCHEMES = ("file", "s3")
_SECONDS_MAX = 365 * 86400
_FACTOR_MIN, _FACTOR_MAX = 2, 1000


@dataclass(frozen=True)
class Options:
    """What the server was asked to be. The three URLs are complete: defaults are filled in."""

    host: str
    port: int
    data_dir: Path
    metadata_url: str
    metrics_url: str
    objects_url: str
    crashed_after_s: float = 180.0
    removed_after_s: float = 7 * 86400.0
    rank_stopped_after_s: float = 60.0
    rank_lagging_factor: float = 3.0

    @property
    def base_url(self) -> str:
        """The address that is printed and stored for clients of this machine."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Reads the options.

    Raises:
        StartError: A URL has a scheme the server does not know, or the port is not a number.
        SystemExit: The command line is wrong (code 2) or asks for help.
    """
    given = _parser().parse_args(arguments)

    def option(name: str, default: str) -> str:
        value = getattr(given, name)
        return str(environment.get(f"BUOY_SERVER_{name.upper()}") or default) if value is None else str(value)

    data_dir = Path(option("data_dir", platformdirs.user_data_dir("buoy", appauthor=False)))
    data_dir = data_dir.expanduser().absolute()
    return Options(
        host=option("host", "127.0.0.1"),
        port=_port(option("port", "8765")),
        data_dir=data_dir,
        metadata_url=_url(
            "metadata", option("metadata_url", f"sqlite:///{data_dir}/metadata.sqlite"), METADATA_SCHEMES
        ),
        metrics_url=_url("metrics", option("metrics_url", f"chdb:///{data_dir}/metrics"), METRICS_SCHEMES),
        objects_url=_url("objects", option("objects_url", f"file://{data_dir}/objects"), OBJECTS_SCHEMES),
        crashed_after_s=_seconds("crashed-after", option("crashed_after", "180")),
        removed_after_s=_seconds("removed-after", option("removed_after", str(7 * 86400))),
        rank_stopped_after_s=_seconds("rank-stopped-after", option("rank_stopped_after", "60")),
        rank_lagging_factor=_factor("rank-lagging-factor", option("rank_lagging_factor", "3")),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="buoy server",
        description="Collects runs and shows them in the browser. Every option is also BUOY_SERVER_...",
    )
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", help="port to listen on, 0 for any free one (8765)")
    parser.add_argument("--data-dir", help="folder for everything the server keeps")
    parser.add_argument("--metadata-url", help="sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE")
    parser.add_argument("--metrics-url", help="chdb:///PATH or clickhouse://USER:PASSWORD@HOST:PORT/DATABASE")
    parser.add_argument("--objects-url", help="file:///PATH or s3://BUCKET/PREFIX")
    parser.add_argument(
        "--crashed-after",
        metavar="SECONDS",
        help="how long nothing may be heard of a machine before its running processes count as crashed (180)",
    )
    parser.add_argument(
        "--removed-after",
        metavar="SECONDS",
        help="how long a deleted run can be restored before its data is removed (604800, a week)",
    )
    parser.add_argument(
        "--rank-stopped-after",
        metavar="SECONDS",
        help="how long a rank may log nothing while others do before it is marked as stopped (60)",
    )
    parser.add_argument(
        "--rank-lagging-factor",
        metavar="N",
        help="a rank that is N times slower than the median is marked as lagging; 0 marks none (3)",
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise StartError(f"port {text!r} is not a number from 0 to 65535; give another one with --port")
    return int(text)


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 1.0 <= seconds <= _SECONDS_MAX:
        raise StartError(f"--{name} {text!r} is not a number of seconds from 1 to {_SECONDS_MAX}")
    return seconds


def _factor(name: str, text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not (factor == 0 or _FACTOR_MIN <= factor <= _FACTOR_MAX):
        raise StartError(f"--{name} {text!r} is neither 0 nor a number from {_FACTOR_MIN} to {_FACTOR_MAX}")
    return factor


def _url(what: str, url: str, schemes: tuple[str, ...]) -> str:
    scheme, separator, _ = url.partition("://")
    # SQLAlchemy names drivers after a plus sign; people copy such URLs.
    if not separator or scheme.partition("+")[0] not in schemes:
        known = ", ".join(f"{name}://" for name in schemes)
        raise StartError(f"--{what}-url has the unknown scheme {scheme!r}; use one of {known}")
    return url
