"""Copies of buoy that say they are of other versions, as a second installation on the same machine would."""

from __future__ import annotations

import importlib
import re
import shutil
from pathlib import Path

PACKAGES = ("buoy_proto", "buoy_core", "buoy_daemon", "buoy")


def install(folder: Path, version: str, *, protocol: int | None = None) -> Path:
    """Puts a copy into `folder`, in place of one that is there; to be used as PYTHONPATH."""
    if folder.exists():
        shutil.rmtree(folder)
    for name in PACKAGES:
        source = Path(next(iter(importlib.import_module(name).__path__)))
        shutil.copytree(
            source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyx", "*.c", "*.h")
        )
    about = folder / f"buoy-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: buoy\nVersion: {version}\n")
    _replace(folder / "buoy/_version.py", r'__version__ = ".*"', f'__version__ = "{version}"')
    if protocol is not None:
        _replace(folder / "buoy_core/state.py", r"DAEMON_PROTOCOL = \d+", f"DAEMON_PROTOCOL = {protocol}")
    return folder


def _replace(path: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, text, path.read_text())
    assert count == 1, path
    path.write_text(changed)
