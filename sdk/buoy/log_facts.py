"""What a run's log says besides its rows: names, configuration, processes, how it ended."""

from __future__ import annotations

import json
from typing import Any

from buoy_core import Rows, definitions
from buoy_proto import v1
from google.protobuf.message import DecodeError

from buoy.tracking.metric import KINDS, Metric, Metrics

_GOALS = {v1.GOAL_MINIMIZE: "minimize", v1.GOAL_MAXIMIZE: "maximize"}
_STATES = {
    v1.RUN_STATE_RUNNING: "running",
    v1.RUN_STATE_CRASHED: "crashed",
    v1.RUN_STATE_KILLED: "killed",
    v1.RUN_STATE_FAILED: "failed",
    v1.RUN_STATE_FINISHED: "finished",
}


class LogFacts:
    """Everything in a log that is no row. Takes payloads in the order of the log.

    Attributes:
        info: names of the run.
        start: what began the stream.
        attempt: which attempt at the run this is.
        started_us: when the first process began; 0 if the log does not say.
        config: the configuration.
        given: the summary as far as it was set by hand.
        metadata: program, machine and the like, of each rank's first process.
        metrics: the definitions.
        ranks: rank of each writer.
        keys: names of keys, by writer and id.
        states: of each writer; forked workers, which do not decide how the run ended, are not in it.
        ends: the last words of those that have ended.
        dropped: calls of log() that each writer could not keep.
        trouble: one sentence for each record that could not be read.
    """

    def __init__(self) -> None:
        self.info = v1.RunInfo()
        self.start = v1.StreamStart()
        self.attempt = 1
        self.started_us = 0
        self.config: dict[str, Any] = {}
        self.given: dict[str, Any] = {}
        self.metadata: dict[int, dict[str, Any]] = {}
        self.metrics = Metrics()
        self.ranks: dict[bytes, int] = {}
        self.keys: dict[bytes, dict[int, str]] = {}
        self.states: dict[bytes, int] = {}
        self.ends: dict[bytes, v1.WriterEnd] = {}
        self.dropped: dict[bytes, int] = {}
        self.trouble: list[str] = []
        self._given_at: dict[str, int] = {}

    @property
    def state(self) -> str:
        """running, finished, failed, killed or crashed, as the log has it."""
        states = set(self.states.values())
        return next((name for state, name in _STATES.items() if state in states), "running")

    def take(self, writer: bytes, payload: bytes, where: str) -> None:
        """Reads the records of a block that are no rows. What cannot be read is noted; the rows beside it are good."""
        self._given_at.clear()
        for index, data in definitions(payload):
            try:
                record = v1.Record.FromString(data)
                self._define(writer, record)
                self._given_at.update(dict.fromkeys((entry.key for entry in record.summary.set), index))
            except (DecodeError, ValueError, RecursionError) as error:
                self.trouble.append(f"a record in {where} cannot be read: {error}")

    def logged(self, writer: bytes, rows: Rows) -> None:
        """Takes note of the rows of the block that `take` had last: a value set by hand holds until then."""
        if not self.given:
            return
        indices = memoryview(rows.index).cast("I").tolist() + [other[0] for other in rows.others]
        key_ids = memoryview(rows.key_id).cast("I").tolist() + [other[3] for other in rows.others]
        for key_id, index in sorted(zip(key_ids, indices, strict=True)):
            name = self.name(writer, key_id)
            if index > self._given_at.get(name, -1):
                self.given.pop(name, None)

    def name(self, writer: bytes, key_id: int) -> str:
        """The key that a writer means."""
        return self.keys.get(writer, {}).get(key_id, f"?{key_id}")

    def _define(self, writer: bytes, record: v1.Record) -> None:
        kind = record.WhichOneof("kind")
        if kind == "key":
            self.keys.setdefault(writer, {})[record.key.id] = record.key.name
        elif kind == "writer_start":
            self._define_writer(record.writer_start)
        elif kind == "stream_start":
            # Later segments of the log repeat it, and by then the run may have another name.
            if not self.start.stream_id:
                self.start = record.stream_start
                self.info, self.attempt = record.stream_start.run, record.stream_start.attempt
                self._began(record.stream_start.time_unix_us)
        elif kind == "config":
            _apply(self.config, record.config)
        elif kind == "summary":
            _apply(self.given, record.summary)
        else:
            self._define_more(record, kind)

    def _define_writer(self, start: v1.WriterStart) -> None:
        self.ranks[start.writer_id] = start.rank
        self._began(start.time_unix_us)
        if not start.parent_writer:
            metadata = json.loads(start.metadata_json or "{}")
            self.metadata.setdefault(start.rank, metadata if isinstance(metadata, dict) else {})
            self.states.setdefault(start.writer_id, v1.RUN_STATE_RUNNING)

    def _define_more(self, record: v1.Record, kind: str | None) -> None:
        if kind == "metric":
            self.metrics.define(_metric(record.metric), overwrite=record.metric.overwrite)
        elif kind == "run":
            for field, value in record.run.ListFields():
                if field.name == "tags":
                    del self.info.tags[:]
                    self.info.tags.extend(value.values)
                else:
                    setattr(self.info, field.name, value)
        elif kind == "writer_drops":
            drops = record.writer_drops
            self.dropped[drops.writer_id] = max(self.dropped.get(drops.writer_id, 0), drops.records_dropped)
        elif kind == "writer_end":
            end = record.writer_end
            self.dropped[end.writer_id] = end.records_dropped
            if end.writer_id in self.states:
                self.states[end.writer_id], self.ends[end.writer_id] = end.state, end

    def _began(self, time_us: int) -> None:
        self.started_us = min(self.started_us or time_us, time_us)


def _apply(values: dict[str, Any], update: v1.ConfigUpdate | v1.SummaryUpdate) -> None:
    for entry in update.set:
        values[entry.key] = json.loads(entry.json)
    for key in update.removed:
        values.pop(key, None)


def _metric(definition: v1.MetricDef) -> Metric:
    return Metric(
        definition.name,
        definition.step_metric or None,
        definition.step_sync if definition.HasField("step_sync") else None,
        definition.hidden if definition.HasField("hidden") else None,
        tuple(kind for kind in definition.summary if kind in KINDS),
        _GOALS.get(definition.goal),
    )
