"""Compiles the Cython core in place: `python core/build_core.py` from anywhere.

Environment: `BUOY_CORE_ANNOTATE=1` writes the annotate reports next to the sources; `BUOY_CORE_SANITIZE=1` builds a
copy with the address and undefined-behaviour sanitizers in `.cache/sanitize`, beside the normal build and never over
it. `scripts/sanitize.sh` runs that.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Distribution, Extension

CORE = Path(__file__).resolve().parent
SANITIZED = CORE.parent / ".cache" / "sanitize"
SANITIZE = [
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
    "-fno-omit-frame-pointer",
    "-g",
]


def main() -> None:
    """Compiles each `_compiled/*.pyx` to a shared library beside it."""
    sanitize = SANITIZE if os.environ.get("BUOY_CORE_SANITIZE") else []
    folder = copied() if sanitize else CORE
    os.chdir(folder)
    extensions = [
        Extension(
            f"buoy_core._compiled.{source.stem}",
            [str(source)],
            include_dirs=["buoy_core/_compiled"],
            depends=[str(p) for p in Path("buoy_core/_compiled").glob("*.[hp]*")],
            extra_compile_args=["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", *sanitize],
            extra_link_args=sanitize,
        )
        for source in sorted(Path("buoy_core/_compiled").glob("*.pyx"))
    ]
    modules = cythonize(
        extensions,
        language_level=3,
        annotate=bool(os.environ.get("BUOY_CORE_ANNOTATE")),
        compiler_directives={"freethreading_compatible": False},
    )
    distribution = Distribution({"name": "buoy", "ext_modules": modules, "packages": []})
    distribution.get_command_obj("build").build_base = str((SANITIZED if sanitize else CORE.parent) / "build")
    command = distribution.get_command_obj("build_ext")
    command.inplace = True
    command.ensure_finalized()
    command.run()


def copied() -> Path:
    """A fresh copy of the sources; what was built from them before is kept where they have not changed."""
    ignored = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    shutil.copytree(CORE / "buoy_core", SANITIZED / "buoy_core", dirs_exist_ok=True, ignore=ignored)
    return SANITIZED


if __name__ == "__main__":
    main()
