"""Every test that takes `core` runs on the compiled core and on its plain twin."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.core.core_cases import Spool


@pytest.fixture(params=["compiled", "python"])
def core(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(f"buoy_core.{request.param}")


@pytest.fixture
def spool(core: ModuleType, tmp_path: Path) -> Spool:
    """A new writer in a folder of its own."""
    return Spool(core, tmp_path / "spool")
