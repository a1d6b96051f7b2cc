"""The shapes of requests and answers, as JSON Schema.

Names in upper case are schemas; those with a name of their own in the document are references into `COMPONENTS`.
`value` stands for any logged or configured value in tagged form (`buoy_server.jsonvalues`). Members that are not in
`optional` are always there. Times are microseconds since 1970 where the name ends with `_us`, else seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from buoy_core.rank_reduction import REDUCTIONS

from buoy_server.editing.batch import ACTIONS
from buoy_server.editing.batch import RUNS_MAX as BATCH_RUNS_MAX
from buoy_server.editing.fields import NAME_CHARACTERS_MAX as EDIT_NAME_MAX
from buoy_server.editing.fields import NOTES_CHARACTERS_MAX, TAG_CHARACTERS_MAX, TAGS_MAX
from buoy_server.filters.scanner import CHARACTERS_MAX as FILTER_CHARACTERS_MAX
from buoy_server.liveness.stops import BY_CHARACTERS_MAX, VIAS
from buoy_server.liveness.watch import MARKS
from buoy_server.query.bands import BAND
from buoy_server.query.buckets import EXPONENT_MAX, EXPONENT_MIN, PIXELS_MAX
from buoy_server.query.history import LIMIT_MAX as HISTORY_LIMIT_MAX
from buoy_server.query.panel import AXES, COLUMNS, STATISTICS
from buoy_server.query.runs import LIMIT_MAX as RUNS_LIMIT_MAX
from buoy_server.query.smoothing import KINDS
from buoy_server.web.panel_request import MODES, RUNS_MAX

Schema = dict[str, Any]

STREAMS_MAX = 10_000
"""How many streams one heartbeat may name."""

COMPONENTS: dict[str, Schema] = {}
"""The schemas that have a name."""


def _named(name: str, about: str, schema: Schema) -> Schema:
    COMPONENTS[name] = {"description": about} | schema
    return {"$ref": f"#/components/schemas/{name}"}


def _object(members: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    schema: Schema = {"type": "object", "properties": {**members, **(optional or {})}}
    return schema | {"required": list(members)} if members else schema


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items} | more


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _one_of(words: Sequence[str]) -> Schema:
    return {"type": "string", "enum": list(words)}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
INT: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLOAT: Schema = {"type": "number"}
BINARY: Schema = {"type": "string", "format": "binary"}

_VALUE = _named(
    "Value",
    'Any JSON value. Numbers that JSON has no word for are objects: {"$float": "nan"}, {"$int": "9007199254740993"}.',
    {},
)
_NUMBER = _named(
    "Number",
    "A number, or the word for what JSON has no number for.",
    {"anyOf": [FLOAT, _one_of(("NaN", "Infinity", "-Infinity"))]},
)
PROBLEM = _named(
    "Problem",
    "What went wrong (RFC 9457). `code` is for programs, `detail` for people.",
    _object(
        {"type": TEXT, "title": TEXT, "status": INT, "code": TEXT, "detail": TEXT},
        {
            "next_seq": COUNT,
            "block": COUNT,
            "offset": COUNT,
            "deleted_us": COUNT,
            "column": COUNT,
            "length": COUNT,
            "edit_tag": TEXT,
        },
    ),
)
_STATE = _named(
    "RunState",
    "State of a run, of an attempt, or of one process of it.",
    _one_of(("running", "finished", "failed", "killed", "crashed")),
)

HEALTH = _object({"status": {"const": "ok"}, "version": TEXT})
ANYTHING: Schema = {"type": "object"}

_PROJECT = _named(
    "Project",
    "A project with the number of its runs, and of those that run now.",
    _object(
        {
            "id": TEXT,
            "entity": TEXT,
            "name": TEXT,
            "rev": COUNT,
            "runs": COUNT,
            "live": COUNT,
            "created_us": COUNT,
            "last_activity_us": COUNT,
        }
    ),
)
PROJECTS = _object({"epoch": COUNT, "projects": _list(_PROJECT)})
REVISION = _object({"epoch": COUNT, "rev": COUNT})

_SORT = _object({"key": TEXT}, {"desc": FLAG})
FILTER: Schema = {
    "anyOf": [
        {"type": "string", "maxLength": FILTER_CHARACTERS_MAX},
        {"type": "object"},
        {"type": "null"},
    ]
}
RUNS_QUERY = _named(
    "RunsQuery",
    "Which runs (a line of the filter language or a Mongo-like object), in which order, which columns. Keys are "
    "those of filters. With `group` the answer has groups in place of runs. `at_rev`: the order of an earlier answer.",
    _object(
        {},
        {
            "filter": FILTER,
            "sort": _or_null(_list(_SORT)),
            "columns": _or_null(_list(TEXT)),
            "group": _or_null(_list(TEXT)),
            "offset": COUNT,
            "limit": {"type": "integer", "minimum": 0, "maximum": RUNS_LIMIT_MAX},
            "at_rev": _or_null(COUNT),
        },
    ),
)
RUNS_FILE = _object(
    {},
    {"filter": FILTER, "sort": _or_null(_list(_SORT)), "columns": _or_null(_list(TEXT))},
)
RUN_COLUMNS = _named(
    "RunColumns",
    "Paths of configs with how many runs have each and whether two runs differ in it (null where there are too many "
    "paths to tell), and keys of summaries with how many series there are of each.",
    _object(
        {
            "epoch": COUNT,
            "rev": COUNT,
            "config": _list(_object({"key": TEXT, "runs": COUNT, "differs": _or_null(FLAG)})),
            "summary": _list(_object({"key": TEXT, "series": COUNT})),
        }
    ),
)
FILTER_BODY = _object({}, {"filter": FILTER})
_TREE = _named("FilterTree", "A filter as a tree; docs/filters.md draws it.", {"type": "object"})
EXPLAINED = _object(
    {
        "text": TEXT,
        "tree": _TREE,
        "keys": _list(_object({"column": COUNT, "length": COUNT, "key": TEXT, "means": TEXT})),
    }
)
COMPLETE = _object({}, {"text": {"type": "string", "maxLength": FILTER_CHARACTERS_MAX}, "place": INT})
COMPLETIONS = _named(
    "Completions",
    "What may stand in place of `length` characters from `column` on, the likeliest first, with the number of runs.",
    _object(
        {
            "kind": _one_of(("key", "value")),
            "column": COUNT,
            "length": COUNT,
            "items": _list(_object({"text": TEXT, "runs": _or_null(COUNT)})),
        }
    ),
)
_STATISTICS = _named(
    "GroupColumn",
    "Over the finite numbers of each group: how many, mean, population standard deviation, extremes; null without any.",
    _object({"n": _list(COUNT)} | dict.fromkeys(("mean", "std", "min", "max"), _list(_VALUE))),
)
_GROUPS = _named(
    "RunGroups",
    "Groups: how many in all, and of those shown the values of the keys, the number of runs, and what columns have.",
    _object(
        {"total": COUNT, "keys": _map(_list(_VALUE)), "runs": _list(COUNT), "columns": _map(_STATISTICS)}
    ),
)
RUNS_PAGE = _named(
    "RunsPage",
    "Runs column by column; each column has as many values as there are ids. `total` counts all that match, `rev` is "
    "the revision that the order is of.",
    _object(
        {"epoch": COUNT, "rev": COUNT, "total": COUNT, "ids": _list(TEXT), "columns": _map(_list(_VALUE))},
        {"groups": _GROUPS},
    ),
)

_ATTEMPT = _named(
    "Attempt",
    "A start of the run; a resume is another one. Steps from `first_step` on supersede those of earlier attempts.",
    _object(
        {"attempt": COUNT, "started_us": COUNT, "first_step": _or_null(INT), "launch": TEXT, "state": _STATE}
    ),
)
_WRITER = _named(
    "Writer",
    "A process of the run. `logged_us`: time of its newest row, by its own clock; `seen_us`: when the server last "
    "heard of it; `backlog_bytes`: what it has handed over on its machine and has not arrived, as far as the machine "
    "has said; `mark`: why its rank is in trouble, among the others of its attempt, and `mark_us` since when.",
    _object(
        {
            "id": TEXT,
            "attempt": COUNT,
            "records_dropped": COUNT,
            "rank": COUNT,
            "local_rank": COUNT,
            "world_size": COUNT,
            "host": TEXT,
            "pid": COUNT,
            "state": _STATE,
            "exit_code": _or_null(INT),
            "last_step": _or_null(INT),
            "started_us": COUNT,
            "ended_us": _or_null(COUNT),
            "forked": FLAG,
            "logged_us": _or_null(INT),
            "seen_us": _or_null(COUNT),
            "backlog_bytes": COUNT,
            "mark": _or_null(_one_of(MARKS)),
            "mark_us": _or_null(COUNT),
        }
    ),
)
_METRIC = _named(
    "MetricDefinition",
    "What define_metric() said of a key, or of all keys that begin with what is before a star.",
    _object(
        {"name": TEXT},
        {
            "step_metric": TEXT,
            "step_sync": FLAG,
            "hidden": FLAG,
            "summary": _list(TEXT),
            "goal": _one_of(("minimize", "maximize")),
        },
    ),
)
_GAP = _named(
    "Gap", "Records that are lost for good.", _object({"first_seq": COUNT, "records": COUNT, "text": TEXT})
)
_EVENT = _named(
    "Event",
    "Something that happened to the run, on which machine and to which rank; null if it is not of one.",
    _object(
        {
            "time_us": COUNT,
            "level": _one_of(("info", "warn", "error")),
            "code": TEXT,
            "text": TEXT,
            "host": _or_null(TEXT),
            "rank": _or_null(COUNT),
            "details": _VALUE,
        }
    ),
)
_STOP_MEMBERS = {
    "requested_us": COUNT,
    "via": _one_of(tuple(VIAS)),
    "by": TEXT,
    "open": FLAG,
}
STOP = _named(
    "Stop",
    "A request to stop an attempt: when, how and by whom it came. Open until all processes have ended.",
    _object(_STOP_MEMBERS),
)
STOP_WISH = _named(
    "StopWish",
    "How the request comes, and by whom, as far as the client says.",
    _object({}, {"via": _one_of(tuple(VIAS)), "by": {"type": "string", "maxLength": BY_CHARACTERS_MAX}}),
)
BY: Schema = {"type": "string", "maxLength": BY_CHARACTERS_MAX}
_WHEN_REMOVED = {"deleted_us": COUNT, "removed_us": COUNT}
DELETION = _named(
    "Deletion",
    "When a run was deleted, and when its data is removed at the earliest: later, if something still arrives. Null if "
    "it is not deleted.",
    _object({"run": TEXT} | {name: _or_null(schema) for name, schema in _WHEN_REMOVED.items()}),
)
_DELETED_RUN = _named(
    "DeletedRun",
    "A run that is deleted and can be restored.",
    _object({"id": TEXT, "name": TEXT, "state": _STATE, "created_us": COUNT} | _WHEN_REMOVED),
)
DELETED = _object({"epoch": COUNT, "rev": COUNT, "runs": _list(_DELETED_RUN)})
_MACHINE = _named(
    "Machine",
    "A machine of an attempt: the rank that its system metrics have, when the server last heard of it, since when it "
    "counts as missing, and how many records in its log have not arrived, as far as it has said.",
    _object(
        {
            "host": TEXT,
            "attempt": COUNT,
            "rank": _or_null(COUNT),
            "seen_us": _or_null(COUNT),
            "missing_us": _or_null(COUNT),
            "backlog_records": COUNT,
        }
    ),
)
RUN = _named(
    "Run",
    "Everything about one run, its points aside.",
    _object(
        {
            "epoch": COUNT,
            "rev": COUNT,
            "archived": FLAG,
            "edit_tag": TEXT,
            "id": TEXT,
            "entity": TEXT,
            "project": TEXT,
            "name": TEXT,
            "notes": TEXT,
            "tags": _list(TEXT),
            "group": TEXT,
            "job_type": TEXT,
            "host": TEXT,
            "state": _STATE,
            "exit_code": _or_null(INT),
            "created_us": COUNT,
            "started_us": COUNT,
            "ended_us": _or_null(COUNT),
            "heartbeat_us": COUNT,
            "config": _map(_VALUE),
            "summary": _map(_VALUE),
            "metadata": _VALUE,
            "metrics": _list(_METRIC),
            "fork": _or_null(_object({"run": TEXT, "step": INT})),
            "attempts": _list(_ATTEMPT),
            "stop": _or_null(STOP),
            "machines": _list(_MACHINE),
            "writers": _list(_WRITER),
            "gaps": _list(_GAP),
            "events": _list(_EVENT),
        }
    ),
)

_TAGS = _list({"type": "string", "maxLength": TAG_CHARACTERS_MAX}, maxItems=TAGS_MAX)
RUN_EDIT = _named(
    "RunEdit",
    "What is to be changed; what is left out stays. Keys of the config are set one by one.",
    _object(
        {},
        {
            "name": {"type": "string", "minLength": 1, "maxLength": EDIT_NAME_MAX},
            "notes": {"type": "string", "maxLength": NOTES_CHARACTERS_MAX},
            "tags": _TAGS,
            "group": {"type": "string", "maxLength": EDIT_NAME_MAX},
            "job_type": {"type": "string", "maxLength": EDIT_NAME_MAX},
            "archived": FLAG,
            "config": _map(_VALUE),
        },
    ),
)
_UNDO = _list(_object({"run": TEXT, "from": ANYTHING, "to": ANYTHING}))
BATCH = _named(
    "Batch",
    "What is to be done to which runs: `tags` for tag and untag, `group` for group, `undo` for undo, which needs no "
    "runs.",
    _object(
        {"do": _one_of(ACTIONS)},
        {
            "runs": _list(TEXT, maxItems=BATCH_RUNS_MAX),
            "tags": _TAGS,
            "group": TEXT,
            "undo": _UNDO,
            "by": TEXT,
        },
    ),
)
BATCH_ANSWER = _named(
    "BatchAnswer",
    "What became of each run, and what takes the changes back: sent as `undo`, as it is. Null if nothing changed.",
    _object(
        {
            "results": _list(
                _object(
                    {"run": TEXT, "status": _one_of(("changed", "unchanged", "refused"))},
                    {"code": TEXT, "detail": TEXT},
                )
            ),
            "undo": _or_null(_UNDO),
        }
    ),
)
_VIEW_MEMBERS = {
    "id": TEXT,
    "name": TEXT,
    "created_us": COUNT,
    "changed_us": COUNT,
    "changed_by": TEXT,
    "rev": COUNT,
    "edit_tag": TEXT,
}
_VIEW_CONTENT = _named(
    "ViewContent",
    "The dashboard's own: `schema` is the number of its form; everything else is kept as it is.",
    {
        "type": "object",
        "properties": {"schema": {"type": "integer", "minimum": 1}},
        "additionalProperties": True,
    },
)
VIEW_ABOUT = _named("ViewAbout", "A view without its content.", _object(_VIEW_MEMBERS))
VIEW = _object(_VIEW_MEMBERS | {"content": _VIEW_CONTENT})
VIEWS = _object({"epoch": COUNT, "rev": COUNT, "views": _list(VIEW_ABOUT)})
VIEW_WISH = _object({"name": TEXT, "content": _VIEW_CONTENT}, {"by": TEXT})
VIEW_DELETED = _object({"id": TEXT, "deleted": FLAG})

KEY_KIND = _one_of(("scalar", "text", "system"))
_KEY = _named(
    "Key",
    "A key of the catalogue: how many runs have it, at which ranks, and how many values there are.",
    _object(
        {
            "key": TEXT,
            "kind": KEY_KIND,
            "runs": COUNT,
            "ranks": _list(COUNT),
            "n": COUNT,
            "last_step": _or_null(INT),
            "step_metric": _or_null(TEXT),
            "goal": _or_null(_one_of(("minimize", "maximize"))),
        }
    ),
)
KEYS = _object({"epoch": COUNT, "rev": COUNT, "keys": _list(_KEY)})

HISTORY_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": HISTORY_LIMIT_MAX}
HISTORY_STREAM = _one_of(("default", "system"))
_RANK_WORDS = "|".join(("lowest", "all", *REDUCTIONS))
HISTORY_RANK: Schema = {"type": "string", "pattern": f"^({_RANK_WORDS}|[0-9]{{1,10}})$"}
HISTORY_ATTEMPTS = _one_of(("latest", "all"))
HISTORY_LAYOUT = _one_of(("rows", "columns"))
_ROW = _named(
    "HistoryRow",
    "The values of one step by key, with `_step`, `_timestamp` and `_runtime`; `_rank` and `_attempt` if all were "
    "asked for; `_node`, the machine, in system metrics.",
    _map(_VALUE),
)
_COLUMN = _named(
    "HistoryColumn",
    "The values of one key. `at` has the row of each, counted from 0; without it there is one value for each row.",
    _object({"values": _list(_VALUE)}, {"at": _list(COUNT)}),
)
HISTORY: Schema = {
    "anyOf": [
        _named("HistoryRows", "Row by row.", _object({"rows": _list(_ROW), "cursor": _or_null(TEXT)})),
        _named(
            "HistoryColumns",
            "Column by column: `rows` rows, which `points` values belong to. Steps of system metrics are times.",
            _object(
                {
                    "rows": COUNT,
                    "points": COUNT,
                    "started_us": COUNT,
                    "step": _list(INT),
                    "attempt": _list(COUNT),
                    "time_us": _list(INT),
                    "columns": _map(_COLUMN),
                    "cursor": _or_null(TEXT),
                },
                {"rank": _list(COUNT), "node": _list(TEXT)},
            ),
        ),
    ]
}

_RUN_IDS = _list(TEXT)
_CHOSEN = _named(
    "ChosenRuns",
    "Runs by a filter, as runs:query takes it; without one, all.",
    _object(
        {},
        {
            "filter": FILTER,
            "sort": _or_null(_list(_SORT)),
            "limit": {"type": "integer", "minimum": 0, "maximum": RUNS_MAX},
        },
    ),
)
_SMOOTH = _named(
    "Smoothing",
    "A further column, made from raw points: its kind, its parameter, and for twema the range that it falls off in.",
    _object({"kind": _one_of(KINDS), "s": FLOAT}, {"R": FLOAT}),
)
_GROUP = _named(
    "Grouping",
    "One series for all runs with the same values of some columns.",
    _object({"by": _list(TEXT)}, {"stats": _or_null(_list(_one_of(STATISTICS)))}),
)
_PANEL = _named(
    "Panel",
    "Series to draw: all pairs of keys and runs, in at most `px` buckets.",
    _object(
        {
            "keys": {"anyOf": [_list(TEXT), _object({"re": TEXT})]},
            "runs": {"anyOf": [_RUN_IDS, _object({"ids": _RUN_IDS}), _CHOSEN]},
        },
        {
            "id": {"type": "integer", "minimum": 0, "maximum": (1 << 32) - 1},
            "x": {"anyOf": [_one_of(AXES), _object({"key": TEXT})]},
            "exp": _or_null({"type": "integer", "minimum": EXPONENT_MIN, "maximum": EXPONENT_MAX}),
            "px": {"type": "integer", "minimum": 1, "maximum": PIXELS_MAX},
            "range": _or_null(_list(FLOAT, minItems=2, maxItems=2)),
            "cols": _or_null(_list(_one_of(COLUMNS))),
            "have": _or_null(_map(INT)),
            "system": FLAG,
            "ranks": {"anyOf": [_one_of(("all", BAND, *REDUCTIONS)), _list(COUNT), {"type": "null"}]},
            "attempts": _one_of(("latest", "all")),
            "smooth": _or_null(_SMOOTH),
            "group": _or_null(_GROUP),
            "mode": _or_null(_one_of(MODES)),
            "top": _or_null(_RUN_IDS),
        },
    ),
)
_BUDGET = _object({}, {"bytes": {"type": "integer", "minimum": 1}, "series": COUNT, "top": COUNT})
SERIES_QUERY = _named(
    "SeriesQuery",
    "Panels; docs/format.md has the rest.",
    _object({"panels": _list(_PANEL)}, {"budget": _or_null(_BUDGET)}),
)
_EXTENT = dict.fromkeys(("last_x", "last_t", "x_min", "x_max"), FLOAT) | {"n_total": COUNT, "last_y": _NUMBER}
_SERIES = _named(
    "Series",
    "One series: `kind` tells which columns there are. Buckets have `idx` and the asked ones of n, min, max, last, "
    "mean; raw points have x and y. The rank is null where the panel asked for a reduction over ranks. Buckets of a "
    "band have n, min, max, mean, the ranks that min and max come from (low, high), how many ranks have a finite value "
    "(ranks), how many values are not finite (bad), and the lowest rank that has one (bad_rank). A part that later "
    "attempts have superseded says of which attempt it was. Of a group the run is the "
    "list of its values; of a series that cannot be answered run and key are code and reason.",
    _object(
        {
            "run": TEXT,
            "key": TEXT,
            "rank": _or_null(COUNT),
            "kind": _one_of(("buckets", "raw", "absent", "unchanged", "error", "group", "density")),
            "rev": COUNT,
            "gen": INT,
        },
        _EXTENT
        | {"attempt": COUNT, "count": COUNT, "sealed": FLAG, "tail": FLAG}
        | {"first_bucket": INT, "smooth_state": _list(_NUMBER), "y_range": _list(FLOAT)}
        | {"grid": _list(_list(COUNT))}
        | dict.fromkeys(("idx", "n", "segment", "low", "high", "ranks", "bad", "bad_rank"), _list(COUNT))
        | dict.fromkeys(
            ("min", "max", "last", "mean", "first", "sumsq", "smooth", "std", "se", "x", "y"), _list(_NUMBER)
        ),
    ),
)
_PANEL_ANSWER = _named(
    "PanelAnswer",
    "A panel's series; buckets are 2^exp wide and anchored at 0.",
    _object({"id": COUNT, "exp": INT, "rev": COUNT, "series": _list(_SERIES)}),
)
SERIES = _object({"epoch": COUNT, "rev": COUNT, "panels": _list(_PANEL_ANSWER)})

POINTS_QUERY = _named(
    "PointsQuery",
    "Which points, and in which form; `range` is in steps, both ends inside, and for system metrics in microseconds.",
    _object(
        {"keys": _list(TEXT), "runs": {"anyOf": [_RUN_IDS, _object({"ids": _RUN_IDS})]}},
        {
            "format": _one_of(("csv", "json", "parquet")),
            "range": _or_null(_list(INT, minItems=2, maxItems=2)),
            "ranks": {"anyOf": [_one_of(("all", *REDUCTIONS)), _list(COUNT), {"type": "null"}]},
            "smooth": _or_null(_SMOOTH),
            "system": FLAG,
        },
    ),
)
_POINTS_PART = _object(
    {
        "run": TEXT,
        "key": TEXT,
        "rank": _or_null(COUNT),
        "step": _list(INT),
        "time_us": _list(INT),
        "value": _list(_NUMBER),
    },
    {"smooth": _list(_NUMBER)},
)
POINTS = _named("Points", "Series part by part, each by step.", _object({"parts": _list(_POINTS_PART)}))

POSITION = _object({"next_seq": COUNT})
ACKNOWLEDGED = _named(
    "Acknowledged",
    "Everything below `next_seq` is stored. `deleted`: the run is deleted, so nobody is shown it.",
    _object({"next_seq": COUNT}, {"deleted": FLAG}),
)

STREAM_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_STREAM_IDS = _list(STREAM_ID, maxItems=STREAMS_MAX)
_OFFSET: Schema = {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1}
BEAT = _named(
    "Beat",
    "A daemon says that its writers live: the streams they write, those of them whose request to stop it knows of, "
    "and how many seconds it waits for another. `behind`: of streams whose records do not arrive in time, the next "
    "sequence of the log, and the offsets that writers have handed over.",
    _object(
        {"streams": _STREAM_IDS},
        {
            "machine_id": TEXT,
            "told": _STREAM_IDS,
            "wait_s": {"type": "number", "minimum": 0, "maximum": 3600},
            "behind": {
                "type": "object",
                "propertyNames": STREAM_ID,
                "additionalProperties": _object(
                    {"next_seq": _OFFSET},
                    {
                        "writers": {
                            "type": "object",
                            "propertyNames": STREAM_ID,
                            "additionalProperties": _OFFSET,
                        }
                    },
                ),
            },
        },
    ),
)
BEAT_ANSWER = _object(
    {"stop": _list(_object({"stream": STREAM_ID, "reason": TEXT})), "crashed_after_s": FLOAT}
)
