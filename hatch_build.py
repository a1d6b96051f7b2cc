"""Build hook of the wheel: compiles the core, and refuses a wheel that has no dashboard in it.

An editable install compiles the extensions in place and needs no dashboard.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = Path("core/buoy_core/_compiled")
STATIC = Path("server/buoy_server/static")
DASHBOARD_FILES = ("index.html", ".vite/manifest.json")


class CoreBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles `core/buoy_core/_compiled/*.pyx` and puts the result and the dashboard into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Runs before hatchling collects files; `version` is "editable" or "standard"."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        extensions = compile_core(root)
        if version == "editable":
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path in extensions:
            inside = path.relative_to(root / "core")
            build_data["force_include"][str(path)] = str(inside)
        build_data["force_include"][str(dashboard(root))] = "buoy_server/static"


def compile_core(root: Path) -> list[Path]:
    """Compiles every extension in place and returns the shared libraries.

    Compilation happens in a process of its own, because setuptools and Cython change global state.
    """
    for stale in (root / COMPILED).glob("*.so"):
        stale.unlink()
    subprocess.run([sys.executable, str(root / "core" / "build_core.py")], cwd=root, check=True)
    built = sorted((root / COMPILED).glob("*.so"))
    if not built:
        raise RuntimeError("compiling the core produced no extension; see the messages above")
    return built


def dashboard(root: Path) -> Path:
    """Returns the folder of the built dashboard; builds it when npm is here, else refuses."""
    static = root / STATIC
    if missing(static) and shutil.which("npm") and not os.environ.get("BUOY_NO_NPM"):
        npm = ["npm", "--prefix", str(root / "web")]
        subprocess.run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], check=True)
        subprocess.run([*npm, "run", "build"], check=True)
    if lacking := missing(static):
        raise RuntimeError(
            f"the dashboard is not built ({static} lacks {', '.join(lacking)}); run `make web`, then build again"
        )
    return static


def missing(static: Path) -> list[str]:
    """The files of a built dashboard that `static` lacks."""
    return [name for name in DASHBOARD_FILES if not (static / name).is_file()]
