"""The wheel is whole or not made at all."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def hatch_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hatch_build"] = module
    spec.loader.exec_module(module)
    return module


def make_dashboard(root: Path, *names: str) -> Path:
    static = root / "server/buoy_server/static"
    for name in names:
        path = static / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return static


@pytest.mark.parametrize("built", [(), ("index.html",), (".vite/manifest.json",)])
def test_wheel_without_the_whole_dashboard_is_refused(
    hatch_build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: tuple[str, ...]
) -> None:
    monkeypatch.setenv("BUOY_NO_NPM", "1")
    make_dashboard(tmp_path, *built)
    with pytest.raises(RuntimeError, match=r"the dashboard is not built .* run `make web`"):
        hatch_build.dashboard(tmp_path)


def test_built_dashboard_goes_into_the_wheel(hatch_build: ModuleType, tmp_path: Path) -> None:
    static = make_dashboard(tmp_path, "index.html", ".vite/manifest.json")
    assert hatch_build.dashboard(tmp_path) == static
