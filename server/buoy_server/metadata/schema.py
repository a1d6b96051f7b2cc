"""The tables as SQLAlchemy sees them. The migrations make them; a test compares the two.

`integer` columns of SQLite hold 64 bits, PostgreSQL's 32: ids, sequences, steps and times are BigInteger.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, Table, Text

METADATA = MetaData()


def _text(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def _big(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


def _small(*names: str) -> list[Column[int]]:
    return [Column(name, Integer, nullable=False) for name in names]


def _id() -> Column[int]:
    return Column("id", BigInteger, primary_key=True)


SERVER = Table("server", METADATA, *_text("name", "value"))

PROJECTS = Table(
    "projects", METADATA, _id(), *_text("entity", "name"), *_big("created_us", "activity_us", "rev")
)

RUNS = Table(
    "runs",
    METADATA,
    _id(),
    *_big("project"),
    *_text("run_id", "name", "notes", "tags", "group_name", "job_type", "host", "state"),
    Column("exit_code", Integer),
    *_small("attempts"),
    *_big("created_us", "started_us"),
    Column("ended_us", BigInteger),
    *_big("heartbeat_us"),
    *_text("config", "metadata"),
    *_big("rev"),
    *_text("parent"),
    Column("parent_step", BigInteger),
    *_big("parent_us"),
    Column("deleted_us", BigInteger),
    Column("removed_us", BigInteger),
    *_big("leftover"),
    *_text("kept"),
    Column("archived_us", BigInteger),
    Column("edited", Text, nullable=False, server_default="{}"),
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    *_big("run"),
    *_small("attempt"),
    *_big("started_us"),
    Column("first_step", BigInteger),
    *_text("launch"),
)

STREAMS = Table(
    "streams",
    METADATA,
    _id(),
    *_text("stream_id"),
    *_big("run"),
    *_small("attempt"),
    Column("rank", Integer),
    *_big("next_seq"),
    *_text("machine_id", "host", "daemon_version"),
    *_big("started_us", "seen_us"),
    Column("beat_us", BigInteger),
    Column("missing_us", BigInteger),
    Column("log_seq", BigInteger, nullable=False, server_default="0"),
)

GAPS = Table("gaps", METADATA, *_big("stream", "first_seq", "records"), *_text("text"))

WRITERS = Table(
    "writers",
    METADATA,
    *_big("stream"),
    *_text("writer_id"),
    *_small("rank", "local_rank", "world_size"),
    *_text("host"),
    *_big("pid"),
    *_small("forked"),
    *_text("state"),
    Column("exit_code", Integer),
    Column("last_step", BigInteger),
    *_big("started_us"),
    Column("ended_us", BigInteger),
    *_big("records_dropped"),
    Column("row_us", BigInteger),
    Column("heard_us", BigInteger),
    Column("arrived", BigInteger, nullable=False, server_default="0"),
    Column("handed", BigInteger, nullable=False, server_default="0"),
)

WRITER_KEYS = Table(
    "writer_keys", METADATA, *_big("stream"), *_text("writer_id"), *_big("key_id"), *_text("name")
)

KEYS = Table(
    "keys", METADATA, _id(), *_big("project"), *_small("system"), *_text("name", "digest"), *_big("rev")
)

SERIES = Table(
    "series",
    METADATA,
    *_big("run", "key"),
    *_small("rank", "attempt"),
    *_big("n", "texts", "first_step", "last_step", "first_us", "last_us"),
    *_text("first_value", "last_value"),
    *_big("last_stream", "last_seq"),
    Column("minimum", Float),
    Column("maximum", Float),
    Column("total", Float, nullable=False),
    *_big("finite"),
    *_small("ascending", "gen"),
    *_big("rev"),
)

METRIC_DEFS = Table("metric_defs", METADATA, *_big("run"), *_text("name", "digest", "definition"))

SUMMARY_VALUES = Table(
    "summary_values",
    METADATA,
    *_big("run"),
    *_text("key", "digest", "value"),
    *_small("attempt"),
    *_big("stream", "seq"),
)

EVENTS = Table(
    "events",
    METADATA,
    *_big("stream", "seq", "run", "time_us"),
    *_text("level", "code", "text", "details"),
    Column("rank", Integer),
)

STOPS = Table(
    "stops",
    METADATA,
    *_big("run", "attempt", "requested_us"),
    *_text("via", "requested_by"),
    *_small("open"),
)

NOTICES = Table(
    "notices", METADATA, _id(), *_big("run", "time_us"), *_text("level", "code", "text", "details")
)

WATCHES = Table("watches", METADATA, *_big("run", "attempt", "judged_us"), *_text("state"))

VIEWS = Table(
    "views",
    METADATA,
    *_big("project"),
    *_text("view_id", "name", "content"),
    *_big("created_us", "changed_us"),
    *_text("changed_by"),
    *_big("rev"),
)
