from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from buoy_server.config import parse
from buoy_server.ingest.pipeline import Ingest
from buoy_server.metadata.engine import Metadata, open_metadata
from buoy_server.metrics.store import MetricsStore
from buoy_server.services import Services, open_services
from sqlalchemy import create_engine, text

from tests.server import postgres
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


# Every database that may hold the metadata


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    if postgres.binaries() is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    with postgres.running() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/m.sqlite"
    server: str = request.getfixturevalue("postgres_url")
    name = f"t{secrets.token_hex(6)}"
    engine = create_engine(server.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.rpartition("/")[0] + "/" + name


@pytest.fixture
def metadata(url: str) -> Iterator[Metadata]:
    opened = open_metadata(url)
    # The tests share one metrics engine, so their run ids must differ.
    first = secrets.randbits(40)
    with opened.write() as connection:
        if opened.shared:
            connection.execute(text(f"ALTER TABLE runs ALTER COLUMN id RESTART WITH {first}"))
        else:
            connection.execute(text(f"INSERT INTO sqlite_sequence (name, seq) VALUES ('runs', {first})"))
    yield opened
    opened.close()


@pytest.fixture
def ingest(metadata: Metadata, services: Services) -> Ingest:
    return Ingest(metadata, MetricsStore(services.engine), lambda *_: None)
