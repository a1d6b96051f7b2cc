"""Compiles the Cython core in place: `python core/build_core.py` from anywhere.

Environment: `BUOY_CORE_ANNOTATE=1` writes the annotate reports next to the sources;
`BUOY_CORE_SANITIZE=1` builds with the address and undefined-behaviour sanitizers.
"""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Distribution, Extension

CORE = Path(__file__).resolve().parent
SANITIZE = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g"]


def main() -> None:
    """Compiles each `_compiled/*.pyx` to a shared library beside it."""
    os.chdir(CORE)
    sanitize = SANITIZE if os.environ.get("BUOY_CORE_SANITIZE") else []
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
    distribution.get_command_obj("build").build_base = str(CORE.parent / "build")
    command = distribution.get_command_obj("build_ext")
    command.inplace = True
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    main()
