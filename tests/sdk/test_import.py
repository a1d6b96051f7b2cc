"""What `import buoy` costs and what it offers."""

from __future__ import annotations

import re
from pathlib import Path

import buoy
import pytest

from tests.sdk.training import Script

HEAVY = (
    "grpc",
    "google.protobuf",
    "numpy",
    "zstandard",
    "click",
    "rich",
    "yaml",
    "subprocess",
    "urllib.request",
)


def test_import_is_light(script: Script) -> None:
    found = script.run(f"import buoy, sys; print([name for name in {HEAVY!r} if name in sys.modules])")
    assert found.stdout.strip() == "[]", found.stderr


def test_import_takes_little_time(script: Script) -> None:
    code = "import time; t = time.perf_counter(); import buoy; print(time.perf_counter() - t)"
    best_s = min(float(script.run(code).stdout) for _ in range(3))
    assert best_s < 0.06


def test_version_is_that_of_the_distribution() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^version = "(.*)"$', project, re.MULTILINE).group(1) == buoy.__version__  # type: ignore[union-attr]


def test_a_folder_of_runs_does_not_hide_the_package(script: Script) -> None:
    # Run folders go to ./buoy, and Python looks in the script's own folder first.
    (script.folder / "buoy" / "run-20260101_000000-abc").mkdir(parents=True)
    (script.folder / "train.py").write_text("import buoy; print(buoy.__version__)")
    for code in ("import buoy; print(buoy.__version__)", "import runpy; runpy.run_path('train.py')"):
        found = script.run("import sys; sys.path.insert(0, '.')\n" + code)
        assert found.stdout.strip() == buoy.__version__, found.stderr


def test_every_public_name_is_there() -> None:
    for name in buoy.__all__:
        assert hasattr(buoy, name), name


def test_names_of_later_versions_say_so() -> None:
    with pytest.raises(AttributeError, match=r"does not have buoy\.watch yet"):
        _ = buoy.watch
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = buoy.nonsense


def test_global_forms_before_init() -> None:
    with pytest.raises(buoy.Error, match=re.escape("You must call buoy.init() before buoy.log()")):
        buoy.log({"a": 1})
    with pytest.raises(buoy.Error, match=re.escape("before buoy.config.lr")):
        buoy.config.lr = 1
    with pytest.raises(buoy.Error, match=re.escape("before buoy.config['lr']")):
        buoy.config["lr"] = 1
    with pytest.raises(buoy.Error, match=re.escape("before buoy.config")):
        buoy.config = {"lr": 1}  # type: ignore[assignment]
    with pytest.raises(buoy.Error, match=re.escape("before buoy.summary['great']")):
        buoy.summary["great"] = 1
    with pytest.raises(buoy.Error, match=r"before buoy\.define_metric"):
        buoy.define_metric("a")
    assert buoy.run is None
    buoy.finish()


def test_names_imported_before_init_work_after_it() -> None:
    from buoy import config, log

    with buoy.init(mode="disabled", config={"lr": 1}):
        log({"a": 1})
        assert config.lr == 1
    with pytest.raises(buoy.Error):
        log({"a": 1})


def test_require() -> None:
    with pytest.raises(buoy.UnsupportedError, match=r"nonsense.*known: core"):
        buoy.require("nonsense")


def test_require_core_never_falls_back(script: Script) -> None:
    code = "import buoy\ntry:\n    buoy.require('core')\nexcept buoy.CoreNotAvailableError as error:\n    print(error)"
    answer = script.run("import buoy_core; print(buoy_core.compiled_error() or '')").stdout.strip()
    chosen = script.run(code, BUOY_CORE="python").stdout
    assert ("build_core.py" if answer else "BUOY_CORE=python") in chosen
    found = script.run(code, BUOY_CORE="compiled")
    assert (found.stdout == "") if not answer else ("build_core.py" in found.stdout), found.stderr


@pytest.mark.parametrize("core", ["compiled", "python"])
@pytest.mark.parametrize("before", ["", "import buoy; buoy.init(mode='offline').finish()\n"])
def test_a_sub_interpreter_is_refused(script: Script, core: str, before: str) -> None:
    """The first such process hung for ever at its end, in gRPC."""
    code = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
interpreters.run_string(interpreters.create(), '''
try:
    import buoy
    buoy.init(mode="offline")
except ImportError as error:
    print(error)
''')
"""
    found = script.run(before + code, BUOY_CORE=core)
    assert "does not run in a sub-interpreter" in found.stdout, found.stderr
    assert "multiprocessing" in found.stdout
