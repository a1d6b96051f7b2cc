from __future__ import annotations

from collections.abc import Iterator

import pytest
from buoy_server.config import parse
from buoy_server.services import Services, open_services

from tests.server.processes import ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all tests that only talk to it; each uses runs of its own."""
    with ServerProcess(tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The stores inside this process. chDB takes one path a process, so all tests share them."""
    folder = tmp_path_factory.mktemp("services")
    opened = open_services(parse(["--data-dir", str(folder)], {}))
    yield opened
    opened.close()
