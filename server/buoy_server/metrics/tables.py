"""The metrics tables and their versions.

A point belongs to (run, key, rank, attempt) and is found by step. `seq` is its record's number in the stream,
`stream` tells the streams of one run apart. For system metrics `step` is the time in microseconds: samples have no
step of their own. The order is that of every question: one series is one contiguous range, already sorted by step.

Codecs were chosen on noisy and smooth float32-born series: Delta before ZSTD halves smooth values and steps and
costs noisy ones 4 %.
"""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

from buoy_server.errors import StartError
from buoy_server.metrics.native import Column

POINTS = (
    Column("run", "UInt64"),
    Column("key", "UInt32"),
    Column("rank", "UInt32"),
    Column("attempt", "UInt32"),
    Column("stream", "UInt32"),
    Column("step", "Int64"),
    Column("seq", "UInt64"),
    Column("time_us", "Int64"),
    Column("value", "Float64"),
    Column("kind", "UInt8"),
)

TEXTS = (*POINTS[:8], Column("value", "String"))

_CODECS = {
    "step": "DoubleDelta, ZSTD(1)",
    "seq": "DoubleDelta, ZSTD(1)",
    "time_us": "Delta, ZSTD(1)",
    "value": "Delta, ZSTD(1)",
}

# Replays are recognised among this many inserts a table. The engine keeps one short line for each.
_WINDOW = 10_000

# An acknowledged insert is on the disk, not in the page cache.
_SETTINGS = (
    f"non_replicated_deduplication_window = {_WINDOW}, replicated_deduplication_window = {_WINDOW}, "
    "fsync_after_insert = 1, fsync_part_directory = 1"
)


def _create(table: str, columns: tuple[Column, ...]) -> str:
    lines = ", ".join(f"{column.name} {column.type} CODEC({_codec(column)})" for column in columns)
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({lines}) ENGINE = MergeTree "
        f"ORDER BY (run, key, rank, attempt, step, seq) SETTINGS {_SETTINGS}"
    )


def _codec(column: Column) -> str:
    if column.type == "String":
        return "ZSTD(1)"
    return _CODECS.get(column.name, "Delta, ZSTD(1)")


# One list of statements a version, in order; a released one is never edited. All can be repeated: a DDL is no
# transaction here.
_VERSIONS: tuple[tuple[str, ...], ...] = ((_create("points", POINTS), _create("texts", TEXTS)),)


def migrate(client: Client, where: str) -> None:
    """Brings the tables to the newest known version.

    Raises:
        StartError: A newer server made them. They are left as they are.
    """
    version = _version(client)
    if version > len(_VERSIONS):
        raise StartError(
            f"the metrics in {where} have schema {version}, this server knows {len(_VERSIONS)}; "
            "install a newer buoy, or choose another --data-dir"
        )
    if version == len(_VERSIONS):
        return
    client.command(
        "CREATE TABLE IF NOT EXISTS schema_version (version UInt32) ENGINE = MergeTree ORDER BY version"
    )
    for number, statements in enumerate(_VERSIONS[version:], version + 1):
        for statement in statements:
            client.command(statement)
        client.command(f"INSERT INTO schema_version VALUES ({number})")


def claim(client: Client, epoch: int, where: str) -> None:
    """Ties the points to the metadata whose ids they use.

    Raises:
        StartError: They belong to other metadata, whose runs would show up under the names of these.
    """
    client.command("CREATE TABLE IF NOT EXISTS owner (epoch UInt64) ENGINE = MergeTree ORDER BY epoch")
    owners = [int(row[0]) for row in client.query("SELECT DISTINCT epoch FROM owner").result_rows]
    if not owners:
        client.command(f"INSERT INTO owner VALUES ({int(epoch)})")
    elif owners != [epoch]:
        raise StartError(
            f"the metrics in {where} belong to another metadata database; "
            "give the --metadata-url that they were written with, or an empty place for the metrics"
        )


def _version(client: Client) -> int:
    exists = client.query(
        "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'schema_version'"
    )
    if not exists.result_rows[0][0]:
        return 0
    return int(client.query("SELECT max(version) FROM schema_version").result_rows[0][0])
