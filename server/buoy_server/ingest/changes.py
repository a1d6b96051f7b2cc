"""What the records of an upload change, apart from points. Pure: touches no store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from buoy_core.format import KIND_DATA, KIND_GAP, KIND_TABLES
from buoy_proto import v1

from buoy_server.editing.fields import Said
from buoy_server.errors import Conflict, Malformed
from buoy_server.ingest.body import Block
from buoy_server.jsonvalues import clean, dumps, from_json

KEY_IDS_MAX = 1 << 24
"""Key ids from here on are damage, not keys; tables by key id would take all memory."""

_INT32_MAX = (1 << 31) - 1
_INT64_MAX = (1 << 63) - 1
_STATES = {
    v1.RUN_STATE_FINISHED: "finished",
    v1.RUN_STATE_FAILED: "failed",
    v1.RUN_STATE_KILLED: "killed",
    v1.RUN_STATE_CRASHED: "crashed",
}
_LEVELS = {v1.LEVEL_WARN: "warn", v1.LEVEL_ERROR: "error"}
_GOALS = {v1.GOAL_MINIMIZE: "minimize", v1.GOAL_MAXIMIZE: "maximize"}


@dataclass(frozen=True)
class Fresh:
    """A block with something new in it: records from position `skip` on are not stored yet."""

    block: Block
    skip: int

    @property
    def first_seq(self) -> int:
        """Sequence of the block's record 0, new or not."""
        return self.block.header.first_seq

    @property
    def writer_id(self) -> str:
        """Who wrote it, in hexadecimal."""
        return self.block.header.writer_id.hex()


@dataclass(frozen=True)
class JsonUpdate:
    """Top-level values that are replaced and removed, in the order of the log. Values are tagged JSON text."""

    seq: int
    replaced: dict[str, str]
    removed: list[str]


@dataclass
class Changes:
    """Everything an upload says besides points, in the order of the log."""

    next_seq: int = 0
    start: v1.StreamStart | None = None
    names: dict[str, dict[int, str]] = field(default_factory=dict)
    writers: dict[str, dict[str, object]] = field(default_factory=dict)
    ended: dict[str, dict[str, object]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    run: dict[str, Said] = field(default_factory=dict)
    block_us: int = 0
    metadata: dict[str, object] = field(default_factory=dict)
    config: list[JsonUpdate] = field(default_factory=list)
    summary: list[JsonUpdate] = field(default_factory=list)
    metrics: list[tuple[dict[str, object], bool]] = field(default_factory=list)
    events: list[dict[str, object]] = field(default_factory=list)
    gaps: list[dict[str, object]] = field(default_factory=list)
    last_us: int = 0


def select_fresh(blocks: list[Block], next_seq: int) -> tuple[list[Fresh], int]:
    """The blocks with something new, and the position after them.

    Raises:
        Conflict: A block starts after the position; nothing of the upload may be stored.
    """
    fresh: list[Fresh] = []
    reached = next_seq
    for block in blocks:
        header = block.header
        if header.kind == KIND_TABLES:
            fresh.append(Fresh(block, 0))
        elif header.first_seq > reached:
            raise Conflict(
                "sequence_gap",
                f"The records from {reached} on are missing before {header.first_seq}.",
                next_seq=next_seq,
            )
        elif header.next_seq > reached:
            fresh.append(Fresh(block, reached - header.first_seq))
            reached = header.next_seq
    return fresh, reached


def fold(fresh: list[Fresh], next_seq: int, known: Mapping[str, Mapping[int, str]]) -> Changes:
    """Collects what the records say.

    Args:
        fresh: Blocks in order.
        next_seq: The position after them.
        known: Key names of each writer so far.

    Raises:
        Malformed: Records contradict each other or hold numbers that cannot be.
    """
    changes = Changes(next_seq=next_seq)
    for item in fresh:
        header = item.block.header
        changes.block_us = min(header.time_us, _INT64_MAX)
        changes.last_us = max(changes.last_us, changes.block_us)
        if header.kind == KIND_GAP:
            _fold_gap(changes, item)
            continue
        for index, record in item.block.records:
            kind = record.WhichOneof("kind")
            if kind == "key":
                _fold_key(changes, item.writer_id, record.key, known)
            elif header.kind == KIND_DATA and index < item.skip:
                continue
            elif header.kind == KIND_TABLES:
                # Repeats what may have been lost with a damaged block. What it says of the run may be out of date by
                # now.
                if kind == "writer_start":
                    _fold_writer(changes, record.writer_start)
            elif kind is not None and kind in _FOLDS:
                _FOLDS[kind](changes, item.first_seq + index, getattr(record, kind))
                if kind == "event":
                    changes.events[-1]["writer_id"] = item.writer_id
    return changes


def _fold_key(
    changes: Changes, writer_id: str, key: v1.KeyDef, known: Mapping[str, Mapping[int, str]]
) -> None:
    name = clean(key.name)
    if not name:
        raise Malformed("bad_record", f"Key {key.id} of writer {writer_id} has no name.")
    if key.id >= KEY_IDS_MAX:
        raise Malformed(
            "bad_record", f"{key.id} is too large for a key id of writer {writer_id}: they count up."
        )
    before = changes.names.get(writer_id, {}).get(key.id) or known.get(writer_id, {}).get(key.id)
    if before is None:
        changes.names.setdefault(writer_id, {})[key.id] = name
    elif before != name:
        raise Malformed("bad_record", f"Key {key.id} of writer {writer_id} is named {before!r} and {name!r}.")


def _fold_gap(changes: Changes, item: Fresh) -> None:
    header = item.block.header
    texts = [record.event.text for _, record in item.block.records if record.WhichOneof("kind") == "event"]
    text = clean(texts[0] if texts else "records were lost")
    first_seq = header.first_seq + item.skip
    changes.gaps.append({"first_seq": first_seq, "records": header.next_seq - first_seq, "text": text})


def _fold_stream_start(changes: Changes, _seq: int, start: v1.StreamStart) -> None:
    changes.start = start
    _fold_run_info(changes, start.run, start.time_unix_us)


def _fold_run_info(changes: Changes, info: v1.RunInfo, time_us: int) -> None:
    given = {
        "name": clean(info.name),
        "notes": clean(info.notes),
        "tags": dumps(list(info.tags)) if info.tags else "",
        "group_name": clean(info.group),
        "job_type": clean(info.job_type),
    }
    told = {
        key: Said(value, min(time_us, _INT64_MAX), starting=True) for key, value in given.items() if value
    }
    changes.run.update(told)


def _fold_writer_start(changes: Changes, _seq: int, start: v1.WriterStart) -> None:
    _fold_writer(changes, start)
    _fold_run_info(changes, start.run, start.time_unix_us)
    # A forked process is of the same rank, and what it is says less about the run.
    if start.metadata_json and not start.parent_writer:
        changes.metadata[str(start.rank)] = from_json(start.metadata_json)


def _fold_writer(changes: Changes, start: v1.WriterStart) -> None:
    changes.writers[start.writer_id.hex()] = {
        "rank": _int32(start.rank, "rank"),
        "local_rank": _int32(start.local_rank, "local_rank"),
        "world_size": _int32(max(1, start.world_size), "world_size"),
        "host": clean(start.host),
        "pid": start.pid,
        "forked": int(bool(start.parent_writer)),
        "started_us": min(start.time_unix_us, _INT64_MAX),
    }


def _fold_writer_end(changes: Changes, _seq: int, end: v1.WriterEnd) -> None:
    changes.ended[end.writer_id.hex()] = {
        "state": _STATES.get(end.state, "finished"),
        "exit_code": end.exit_code,
        "ended_us": min(end.time_unix_us, _INT64_MAX),
        "records_dropped": min(end.records_dropped, _INT64_MAX),
    }


def _fold_writer_drops(changes: Changes, _seq: int, drops: v1.WriterDrops) -> None:
    changes.dropped[drops.writer_id.hex()] = min(drops.records_dropped, _INT64_MAX)


def _fold_config(changes: Changes, seq: int, update: v1.ConfigUpdate) -> None:
    changes.config.append(_json_update(seq, update))


def _fold_summary(changes: Changes, seq: int, update: v1.SummaryUpdate) -> None:
    changes.summary.append(_json_update(seq, update))


def _json_update(seq: int, update: v1.ConfigUpdate | v1.SummaryUpdate) -> JsonUpdate:
    replaced = {clean(entry.key): from_json(entry.json) for entry in update.set}
    return JsonUpdate(seq, replaced, [clean(key) for key in update.removed])


def _fold_metric(changes: Changes, _seq: int, metric: v1.MetricDef) -> None:
    definition: dict[str, object] = {"name": clean(metric.name)}
    if metric.step_metric:
        definition["step_metric"] = clean(metric.step_metric)
    for name in ("step_sync", "hidden"):
        if metric.HasField(name):
            definition[name] = bool(getattr(metric, name))
    if metric.summary:
        definition["summary"] = list(metric.summary)
    if metric.goal in _GOALS:
        definition["goal"] = _GOALS[metric.goal]
    changes.metrics.append((definition, metric.overwrite))


def _fold_run_update(changes: Changes, _seq: int, update: v1.RunUpdate) -> None:
    for name, column in (
        ("name", "name"),
        ("notes", "notes"),
        ("group", "group_name"),
        ("job_type", "job_type"),
    ):
        if update.HasField(name):
            changes.run[column] = Said(clean(getattr(update, name)), changes.block_us, starting=False)
    if update.HasField("tags"):
        changes.run["tags"] = Said(dumps(list(update.tags.values)), changes.block_us, starting=False)


def _fold_event(changes: Changes, seq: int, event: v1.Event) -> None:
    changes.events.append(
        {
            "seq": seq,
            "time_us": min(event.time_unix_us, _INT64_MAX),
            "level": _LEVELS.get(event.level, "info"),
            "code": clean(event.code),
            "text": clean(event.text),
            "details": from_json(event.json) if event.json else "{}",
        }
    )


_FOLDS: dict[str, Callable[[Changes, int, Any], None]] = {
    "stream_start": _fold_stream_start,
    "writer_start": _fold_writer_start,
    "writer_end": _fold_writer_end,
    "writer_drops": _fold_writer_drops,
    "config": _fold_config,
    "summary": _fold_summary,
    "metric": _fold_metric,
    "run": _fold_run_update,
    "event": _fold_event,
}


def _int32(value: int, what: str) -> int:
    if value > _INT32_MAX:
        raise Malformed("bad_record", f"{value} is too large for {what}.")
    return value
