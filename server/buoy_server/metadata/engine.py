"""Opens the metadata database and hands out transactions.

What is acknowledged must survive a power cut: SQLite runs in WAL mode with synchronous=FULL, so a commit returns
after fsync. Readers never wait for the writer. On SQLite one thread of this process writes at a time (a lock of
ours, because SQLite's own waiting polls); PostgreSQL has row locks and needs none.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.sql.schema import Table

from buoy_server.errors import StartError, StorageTrouble
from buoy_server.metadata.migrations import migrate
from buoy_server.metadata.schema import SERVER
from buoy_server.storage import trouble_of

_EPOCH_BITS = 52  # JavaScript reads it as a number.


class Metadata:
    """The metadata store: transactions over SQLite or PostgreSQL. Thread-safe.

    Attributes:
        engine: The SQLAlchemy engine.
        epoch: A random number of this database; revisions count within it.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        self.epoch = self._load_epoch()

    @property
    def shared(self) -> bool:
        """Other servers may work on the same database."""
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: one consistent view."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; durable when the block has ended, rolled back when it raises.

        Raises:
            StorageTrouble: The disk is full or fails; nothing was changed.
        """
        try:
            with (
                self._writing,
                self.engine.connect().execution_options(buoy_write=True) as connection,
                connection.begin(),
            ):
                yield connection
        except DBAPIError as error:
            if trouble := trouble_of(error, "metadata"):
                raise trouble from error
            raise

    @contextmanager
    def stream_turn(self, stream_id: str) -> Iterator[None]:
        """Keeps other replicas off a stream until the block ends. Within this process the caller has a lock."""
        if not self.shared:
            yield
            return
        number = int.from_bytes(
            hashlib.blake2b(stream_id.encode(), digest_size=8).digest(), "little", signed=True
        )
        # An advisory lock instead of a row lock: the stream may have no row yet, and the work uses several
        # transactions.
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})

    def upsert(self, table: Table) -> Any:
        """An INSERT that can be given `on_conflict_do_update` or `on_conflict_do_nothing`."""
        return postgresql.insert(table) if self.shared else sqlite.insert(table)

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    def _load_epoch(self) -> int:
        with self.write() as connection:
            fresh = {"name": "epoch", "value": str(secrets.randbits(_EPOCH_BITS))}
            connection.execute(
                self.upsert(SERVER).values(fresh).on_conflict_do_nothing(index_elements=["name"])
            )
            return int(
                connection.execute(select(SERVER.c.value).where(SERVER.c.name == "epoch")).scalar_one()
            )


def digest(name: str) -> str:
    """Stands for a name of any length in an index."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def open_metadata(url: str) -> Metadata:
    """Opens a database and brings its schema up to date.

    Raises:
        StartError: It cannot be reached or written, or a newer server wrote it.
    """
    try:
        parsed = make_url(url)
        where = parsed.render_as_string(hide_password=True)
        if parsed.get_backend_name() == "sqlite":
            engine = _open_sqlite(str(parsed.database or ""))
        else:
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"), pool_size=10, max_overflow=20, pool_pre_ping=True
            )
        migrate(engine, where)
        return Metadata(engine)
    except ArgumentError as error:
        raise StartError(
            f"--metadata-url is not a database URL ({error}); use sqlite:///PATH or postgresql://..."
        ) from error
    except StorageTrouble as error:
        raise StartError(f"the metadata in {where} cannot be opened: {error.detail}") from error
    except (OperationalError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StartError(
            f"the metadata in {where} cannot be opened ({reason}); check --metadata-url"
        ) from error
    except SQLAlchemyError as error:
        raise StartError(f"the metadata in {where} cannot be used ({str(error).splitlines()[0]})") from error


def _open_sqlite(database: str) -> Engine:
    if database in ("", ":memory:"):
        raise StartError("--metadata-url needs a file: sqlite:///PATH")
    Path(database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(
        URL.create("sqlite", database=database),
        connect_args={"timeout": 30.0, "check_same_thread": False},
        pool_size=16,
    )

    # The driver begins transactions by its own, older rules unless told otherwise.
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16384"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("buoy_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
