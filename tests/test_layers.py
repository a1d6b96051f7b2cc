"""The arrows between packages: who may import whom.

`buoy`, `buoy_daemon` and `buoy_server` meet only through formats, and the training process stays light, because nothing
can import what it must not.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PACKAGES = {
    "buoy_proto": ROOT / "proto/buoy_proto",
    "buoy_core": ROOT / "core/buoy_core",
    "buoy_daemon": ROOT / "daemon/buoy_daemon",
    "buoy": ROOT / "sdk/buoy",
    "buoy_server": ROOT / "server/buoy_server",
}

MAY_IMPORT = {
    "buoy_proto": set(),
    "buoy_core": set(),
    "buoy_daemon": {"buoy_core", "buoy_proto"},
    "buoy": {"buoy_core", "buoy_proto"},
    "buoy_server": {"buoy_core", "buoy_proto"},
}


def imported_names(source: str) -> Iterator[tuple[int, str]]:
    """Line and top-level package of every absolute import, those inside functions included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]


def sources(package: str) -> list[Path]:
    folder = PACKAGES[package]
    return [path for pattern in ("*.py", "*.pyi") for path in sorted(folder.rglob(pattern))]


def offending_arrows(package: str) -> list[str]:
    arrows = []
    for path in sources(package):
        for line, name in imported_names(path.read_text(encoding="utf-8")):
            if name in PACKAGES and name != package and name not in MAY_IMPORT[package]:
                arrows.append(f"{path.relative_to(ROOT)}:{line}: {package} -> {name}")
    return arrows


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_only_what_it_may(package: str) -> None:
    assert sources(package), f"{package} has no sources under {PACKAGES[package]}"
    assert offending_arrows(package) == []


def test_a_forbidden_arrow_is_seen() -> None:
    names = dict(imported_names("def f():\n    from buoy_server.store import x\n"))
    assert names == {2: "buoy_server"}


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_found_without_an_import_hook(package: str) -> None:
    """A static finder, as tools have one, sees every package: the path of the interpreter is enough."""
    code = (
        "import sys, importlib.machinery as m\n"
        f"spec = m.PathFinder.find_spec({package!r}, sys.path)\n"
        "print(spec.origin if spec else None)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == PACKAGES[package] / "__init__.py"
