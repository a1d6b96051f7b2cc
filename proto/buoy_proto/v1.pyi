from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Goal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GOAL_UNSPECIFIED: _ClassVar[Goal]
    GOAL_MINIMIZE: _ClassVar[Goal]
    GOAL_MAXIMIZE: _ClassVar[Goal]

class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEVEL_UNSPECIFIED: _ClassVar[Level]
    LEVEL_INFO: _ClassVar[Level]
    LEVEL_WARN: _ClassVar[Level]
    LEVEL_ERROR: _ClassVar[Level]

class RunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATE_UNSPECIFIED: _ClassVar[RunState]
    RUN_STATE_RUNNING: _ClassVar[RunState]
    RUN_STATE_FINISHED: _ClassVar[RunState]
    RUN_STATE_FAILED: _ClassVar[RunState]
    RUN_STATE_KILLED: _ClassVar[RunState]
    RUN_STATE_CRASHED: _ClassVar[RunState]

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    DURABILITY_DISK: _ClassVar[Durability]
    DURABILITY_SERVER: _ClassVar[Durability]
GOAL_UNSPECIFIED: Goal
GOAL_MINIMIZE: Goal
GOAL_MAXIMIZE: Goal
LEVEL_UNSPECIFIED: Level
LEVEL_INFO: Level
LEVEL_WARN: Level
LEVEL_ERROR: Level
RUN_STATE_UNSPECIFIED: RunState
RUN_STATE_RUNNING: RunState
RUN_STATE_FINISHED: RunState
RUN_STATE_FAILED: RunState
RUN_STATE_KILLED: RunState
RUN_STATE_CRASHED: RunState
DURABILITY_UNSPECIFIED: Durability
DURABILITY_DISK: Durability
DURABILITY_SERVER: Durability

class Record(_message.Message):
    __slots__ = ("row", "key", "system", "config", "summary", "metric", "run", "event", "writer_start", "writer_end", "stream_start", "writer_drops")
    ROW_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    WRITER_START_FIELD_NUMBER: _ClassVar[int]
    WRITER_END_FIELD_NUMBER: _ClassVar[int]
    STREAM_START_FIELD_NUMBER: _ClassVar[int]
    WRITER_DROPS_FIELD_NUMBER: _ClassVar[int]
    row: Row
    key: KeyDef
    system: Row
    config: ConfigUpdate
    summary: SummaryUpdate
    metric: MetricDef
    run: RunUpdate
    event: Event
    writer_start: WriterStart
    writer_end: WriterEnd
    stream_start: StreamStart
    writer_drops: WriterDrops
    def __init__(self, row: _Optional[_Union[Row, _Mapping]] = ..., key: _Optional[_Union[KeyDef, _Mapping]] = ..., system: _Optional[_Union[Row, _Mapping]] = ..., config: _Optional[_Union[ConfigUpdate, _Mapping]] = ..., summary: _Optional[_Union[SummaryUpdate, _Mapping]] = ..., metric: _Optional[_Union[MetricDef, _Mapping]] = ..., run: _Optional[_Union[RunUpdate, _Mapping]] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., writer_start: _Optional[_Union[WriterStart, _Mapping]] = ..., writer_end: _Optional[_Union[WriterEnd, _Mapping]] = ..., stream_start: _Optional[_Union[StreamStart, _Mapping]] = ..., writer_drops: _Optional[_Union[WriterDrops, _Mapping]] = ...) -> None: ...

class Row(_message.Message):
    __slots__ = ("step", "time_unix_us", "slots", "values", "others")
    STEP_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    step: int
    time_unix_us: int
    slots: _containers.RepeatedScalarFieldContainer[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    others: _containers.RepeatedCompositeFieldContainer[Value]
    def __init__(self, step: _Optional[int] = ..., time_unix_us: _Optional[int] = ..., slots: _Optional[_Iterable[int]] = ..., values: _Optional[_Iterable[float]] = ..., others: _Optional[_Iterable[_Union[Value, _Mapping]]] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("key_id", "text", "flag", "integer", "big_integer", "none", "json", "wtf8")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    BIG_INTEGER_FIELD_NUMBER: _ClassVar[int]
    NONE_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    WTF8_FIELD_NUMBER: _ClassVar[int]
    key_id: int
    text: str
    flag: bool
    integer: int
    big_integer: bytes
    none: bool
    json: str
    wtf8: bytes
    def __init__(self, key_id: _Optional[int] = ..., text: _Optional[str] = ..., flag: _Optional[bool] = ..., integer: _Optional[int] = ..., big_integer: _Optional[bytes] = ..., none: _Optional[bool] = ..., json: _Optional[str] = ..., wtf8: _Optional[bytes] = ...) -> None: ...

class KeyDef(_message.Message):
    __slots__ = ("id", "name")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("key", "json")
    KEY_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    key: str
    json: str
    def __init__(self, key: _Optional[str] = ..., json: _Optional[str] = ...) -> None: ...

class ConfigUpdate(_message.Message):
    __slots__ = ("set", "removed")
    SET_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    set: _containers.RepeatedCompositeFieldContainer[Entry]
    removed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, set: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., removed: _Optional[_Iterable[str]] = ...) -> None: ...

class SummaryUpdate(_message.Message):
    __slots__ = ("set", "removed")
    SET_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    set: _containers.RepeatedCompositeFieldContainer[Entry]
    removed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, set: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., removed: _Optional[_Iterable[str]] = ...) -> None: ...

class MetricDef(_message.Message):
    __slots__ = ("name", "step_metric", "step_sync", "hidden", "summary", "goal", "overwrite")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STEP_METRIC_FIELD_NUMBER: _ClassVar[int]
    STEP_SYNC_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    name: str
    step_metric: str
    step_sync: bool
    hidden: bool
    summary: _containers.RepeatedScalarFieldContainer[str]
    goal: Goal
    overwrite: bool
    def __init__(self, name: _Optional[str] = ..., step_metric: _Optional[str] = ..., step_sync: _Optional[bool] = ..., hidden: _Optional[bool] = ..., summary: _Optional[_Iterable[str]] = ..., goal: _Optional[_Union[Goal, str]] = ..., overwrite: _Optional[bool] = ...) -> None: ...

class RunUpdate(_message.Message):
    __slots__ = ("name", "notes", "group", "job_type", "tags")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    JOB_TYPE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    notes: str
    group: str
    job_type: str
    tags: Tags
    def __init__(self, name: _Optional[str] = ..., notes: _Optional[str] = ..., group: _Optional[str] = ..., job_type: _Optional[str] = ..., tags: _Optional[_Union[Tags, _Mapping]] = ...) -> None: ...

class Tags(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("time_unix_us", "level", "code", "text", "json")
    TIME_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    time_unix_us: int
    level: Level
    code: str
    text: str
    json: str
    def __init__(self, time_unix_us: _Optional[int] = ..., level: _Optional[_Union[Level, str]] = ..., code: _Optional[str] = ..., text: _Optional[str] = ..., json: _Optional[str] = ...) -> None: ...

class RunInfo(_message.Message):
    __slots__ = ("entity", "project", "run_id", "name", "notes", "tags", "group", "job_type")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    JOB_TYPE_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    run_id: str
    name: str
    notes: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    group: str
    job_type: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., run_id: _Optional[str] = ..., name: _Optional[str] = ..., notes: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., group: _Optional[str] = ..., job_type: _Optional[str] = ...) -> None: ...

class WriterStart(_message.Message):
    __slots__ = ("writer_id", "run", "time_unix_us", "rank", "local_rank", "world_size", "host", "pid", "run_dir", "base_url", "metadata_json", "telemetry", "attempt", "parent_writer", "launch_id", "branch", "after_unix_us", "keep_days", "keep_gb")
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    LOCAL_RANK_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RUN_DIR_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PARENT_WRITER_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    AFTER_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    KEEP_DAYS_FIELD_NUMBER: _ClassVar[int]
    KEEP_GB_FIELD_NUMBER: _ClassVar[int]
    writer_id: bytes
    run: RunInfo
    time_unix_us: int
    rank: int
    local_rank: int
    world_size: int
    host: str
    pid: int
    run_dir: str
    base_url: str
    metadata_json: str
    telemetry: bool
    attempt: int
    parent_writer: bytes
    launch_id: bytes
    branch: Branch
    after_unix_us: int
    keep_days: float
    keep_gb: float
    def __init__(self, writer_id: _Optional[bytes] = ..., run: _Optional[_Union[RunInfo, _Mapping]] = ..., time_unix_us: _Optional[int] = ..., rank: _Optional[int] = ..., local_rank: _Optional[int] = ..., world_size: _Optional[int] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., run_dir: _Optional[str] = ..., base_url: _Optional[str] = ..., metadata_json: _Optional[str] = ..., telemetry: _Optional[bool] = ..., attempt: _Optional[int] = ..., parent_writer: _Optional[bytes] = ..., launch_id: _Optional[bytes] = ..., branch: _Optional[_Union[Branch, _Mapping]] = ..., after_unix_us: _Optional[int] = ..., keep_days: _Optional[float] = ..., keep_gb: _Optional[float] = ...) -> None: ...

class Branch(_message.Message):
    __slots__ = ("run_id", "step", "attempt_unix_us")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    step: int
    attempt_unix_us: int
    def __init__(self, run_id: _Optional[str] = ..., step: _Optional[int] = ..., attempt_unix_us: _Optional[int] = ...) -> None: ...

class WriterEnd(_message.Message):
    __slots__ = ("writer_id", "state", "exit_code", "time_unix_us", "records_dropped")
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    RECORDS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    writer_id: bytes
    state: RunState
    exit_code: int
    time_unix_us: int
    records_dropped: int
    def __init__(self, writer_id: _Optional[bytes] = ..., state: _Optional[_Union[RunState, str]] = ..., exit_code: _Optional[int] = ..., time_unix_us: _Optional[int] = ..., records_dropped: _Optional[int] = ...) -> None: ...

class WriterDrops(_message.Message):
    __slots__ = ("writer_id", "records_dropped", "time_unix_us")
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    RECORDS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    writer_id: bytes
    records_dropped: int
    time_unix_us: int
    def __init__(self, writer_id: _Optional[bytes] = ..., records_dropped: _Optional[int] = ..., time_unix_us: _Optional[int] = ...) -> None: ...

class StreamStart(_message.Message):
    __slots__ = ("stream_id", "run", "attempt", "machine_id", "host", "time_unix_us", "daemon_version", "launch_id", "branch")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    MACHINE_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    DAEMON_VERSION_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    stream_id: bytes
    run: RunInfo
    attempt: int
    machine_id: str
    host: str
    time_unix_us: int
    daemon_version: str
    launch_id: bytes
    branch: Branch
    def __init__(self, stream_id: _Optional[bytes] = ..., run: _Optional[_Union[RunInfo, _Mapping]] = ..., attempt: _Optional[int] = ..., machine_id: _Optional[str] = ..., host: _Optional[str] = ..., time_unix_us: _Optional[int] = ..., daemon_version: _Optional[str] = ..., launch_id: _Optional[bytes] = ..., branch: _Optional[_Union[Branch, _Mapping]] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("look",)
    LOOK_FIELD_NUMBER: _ClassVar[int]
    look: bool
    def __init__(self, look: _Optional[bool] = ...) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("version", "protocol", "pid", "started_unix_us", "auto_started", "runs", "rss_bytes", "core", "waiting")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    AUTO_STARTED_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    RSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    CORE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    version: str
    protocol: int
    pid: int
    started_unix_us: int
    auto_started: bool
    runs: _containers.RepeatedCompositeFieldContainer[RunStatus]
    rss_bytes: int
    core: str
    waiting: _containers.RepeatedCompositeFieldContainer[WaitingSpool]
    def __init__(self, version: _Optional[str] = ..., protocol: _Optional[int] = ..., pid: _Optional[int] = ..., started_unix_us: _Optional[int] = ..., auto_started: _Optional[bool] = ..., runs: _Optional[_Iterable[_Union[RunStatus, _Mapping]]] = ..., rss_bytes: _Optional[int] = ..., core: _Optional[str] = ..., waiting: _Optional[_Iterable[_Union[WaitingSpool, _Mapping]]] = ...) -> None: ...

class WaitingSpool(_message.Message):
    __slots__ = ("path", "reason")
    PATH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    path: str
    reason: str
    def __init__(self, path: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RunStatus(_message.Message):
    __slots__ = ("run", "attempt", "run_dir", "writers", "next_seq", "acked_seq", "upload_state", "upload_error", "url", "log_error")
    RUN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RUN_DIR_FIELD_NUMBER: _ClassVar[int]
    WRITERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQ_FIELD_NUMBER: _ClassVar[int]
    ACKED_SEQ_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_STATE_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_ERROR_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    LOG_ERROR_FIELD_NUMBER: _ClassVar[int]
    run: RunInfo
    attempt: int
    run_dir: str
    writers: _containers.RepeatedCompositeFieldContainer[WriterStatus]
    next_seq: int
    acked_seq: int
    upload_state: str
    upload_error: str
    url: str
    log_error: str
    def __init__(self, run: _Optional[_Union[RunInfo, _Mapping]] = ..., attempt: _Optional[int] = ..., run_dir: _Optional[str] = ..., writers: _Optional[_Iterable[_Union[WriterStatus, _Mapping]]] = ..., next_seq: _Optional[int] = ..., acked_seq: _Optional[int] = ..., upload_state: _Optional[str] = ..., upload_error: _Optional[str] = ..., url: _Optional[str] = ..., log_error: _Optional[str] = ...) -> None: ...

class WriterStatus(_message.Message):
    __slots__ = ("writer_id", "rank", "pid", "state", "committed_offset", "logged_offset", "alive", "records_dropped", "local_rank", "host", "last_step", "last_row_unix_us", "backlog_bytes", "forked")
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_OFFSET_FIELD_NUMBER: _ClassVar[int]
    LOGGED_OFFSET_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    RECORDS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    LOCAL_RANK_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    LAST_STEP_FIELD_NUMBER: _ClassVar[int]
    LAST_ROW_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    FORKED_FIELD_NUMBER: _ClassVar[int]
    writer_id: bytes
    rank: int
    pid: int
    state: RunState
    committed_offset: int
    logged_offset: int
    alive: bool
    records_dropped: int
    local_rank: int
    host: str
    last_step: int
    last_row_unix_us: int
    backlog_bytes: int
    forked: bool
    def __init__(self, writer_id: _Optional[bytes] = ..., rank: _Optional[int] = ..., pid: _Optional[int] = ..., state: _Optional[_Union[RunState, str]] = ..., committed_offset: _Optional[int] = ..., logged_offset: _Optional[int] = ..., alive: _Optional[bool] = ..., records_dropped: _Optional[int] = ..., local_rank: _Optional[int] = ..., host: _Optional[str] = ..., last_step: _Optional[int] = ..., last_row_unix_us: _Optional[int] = ..., backlog_bytes: _Optional[int] = ..., forked: _Optional[bool] = ...) -> None: ...

class OpenRequest(_message.Message):
    __slots__ = ("spool_dir", "writer", "api_key", "protocol")
    SPOOL_DIR_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    spool_dir: str
    writer: WriterStart
    api_key: str
    protocol: int
    def __init__(self, spool_dir: _Optional[str] = ..., writer: _Optional[_Union[WriterStart, _Mapping]] = ..., api_key: _Optional[str] = ..., protocol: _Optional[int] = ...) -> None: ...

class OpenResponse(_message.Message):
    __slots__ = ("url", "server_answers", "run_dir", "attempt", "logged_offset")
    URL_FIELD_NUMBER: _ClassVar[int]
    SERVER_ANSWERS_FIELD_NUMBER: _ClassVar[int]
    RUN_DIR_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    LOGGED_OFFSET_FIELD_NUMBER: _ClassVar[int]
    url: str
    server_answers: bool
    run_dir: str
    attempt: int
    logged_offset: int
    def __init__(self, url: _Optional[str] = ..., server_answers: _Optional[bool] = ..., run_dir: _Optional[str] = ..., attempt: _Optional[int] = ..., logged_offset: _Optional[int] = ...) -> None: ...

class FlushRequest(_message.Message):
    __slots__ = ("writer_id", "offset", "durability", "timeout_s")
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    writer_id: bytes
    offset: int
    durability: Durability
    timeout_s: float
    def __init__(self, writer_id: _Optional[bytes] = ..., offset: _Optional[int] = ..., durability: _Optional[_Union[Durability, str]] = ..., timeout_s: _Optional[float] = ...) -> None: ...

class FlushResponse(_message.Message):
    __slots__ = ("done",)
    DONE_FIELD_NUMBER: _ClassVar[int]
    done: bool
    def __init__(self, done: _Optional[bool] = ...) -> None: ...

class CloseRequest(_message.Message):
    __slots__ = ("writer_id", "offset", "durability")
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    writer_id: bytes
    offset: int
    durability: Durability
    def __init__(self, writer_id: _Optional[bytes] = ..., offset: _Optional[int] = ..., durability: _Optional[_Union[Durability, str]] = ...) -> None: ...

class CloseProgress(_message.Message):
    __slots__ = ("on_disk", "records", "records_acked", "server_answers", "log_error", "upload_state", "upload_error")
    ON_DISK_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_ACKED_FIELD_NUMBER: _ClassVar[int]
    SERVER_ANSWERS_FIELD_NUMBER: _ClassVar[int]
    LOG_ERROR_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_STATE_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_ERROR_FIELD_NUMBER: _ClassVar[int]
    on_disk: bool
    records: int
    records_acked: int
    server_answers: bool
    log_error: str
    upload_state: str
    upload_error: str
    def __init__(self, on_disk: _Optional[bool] = ..., records: _Optional[int] = ..., records_acked: _Optional[int] = ..., server_answers: _Optional[bool] = ..., log_error: _Optional[str] = ..., upload_state: _Optional[str] = ..., upload_error: _Optional[str] = ...) -> None: ...

class AppendRequest(_message.Message):
    __slots__ = ("writer_id", "begin_offset", "frames", "records_dropped")
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    BEGIN_OFFSET_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    RECORDS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    writer_id: bytes
    begin_offset: int
    frames: bytes
    records_dropped: int
    def __init__(self, writer_id: _Optional[bytes] = ..., begin_offset: _Optional[int] = ..., frames: _Optional[bytes] = ..., records_dropped: _Optional[int] = ...) -> None: ...

class AppendResponse(_message.Message):
    __slots__ = ("logged_offset", "control")
    LOGGED_OFFSET_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    logged_offset: int
    control: int
    def __init__(self, logged_offset: _Optional[int] = ..., control: _Optional[int] = ...) -> None: ...

class ShutdownRequest(_message.Message):
    __slots__ = ("drain",)
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    drain: bool
    def __init__(self, drain: _Optional[bool] = ...) -> None: ...

class ShutdownResponse(_message.Message):
    __slots__ = ("pid",)
    PID_FIELD_NUMBER: _ClassVar[int]
    pid: int
    def __init__(self, pid: _Optional[int] = ...) -> None: ...

class Destination(_message.Message):
    __slots__ = ("base_url", "default_base_url", "api_key")
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_BASE_URL_FIELD_NUMBER: _ClassVar[int]
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    base_url: str
    default_base_url: str
    api_key: str
    def __init__(self, base_url: _Optional[str] = ..., default_base_url: _Optional[str] = ..., api_key: _Optional[str] = ...) -> None: ...

class SurveyRequest(_message.Message):
    __slots__ = ("run_dirs", "recorded", "destination", "ask")
    RUN_DIRS_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    run_dirs: _containers.RepeatedScalarFieldContainer[str]
    recorded: bool
    destination: Destination
    ask: bool
    def __init__(self, run_dirs: _Optional[_Iterable[str]] = ..., recorded: _Optional[bool] = ..., destination: _Optional[_Union[Destination, _Mapping]] = ..., ask: _Optional[bool] = ...) -> None: ...

class SurveyResponse(_message.Message):
    __slots__ = ("folders",)
    FOLDERS_FIELD_NUMBER: _ClassVar[int]
    folders: _containers.RepeatedCompositeFieldContainer[FolderStatus]
    def __init__(self, folders: _Optional[_Iterable[_Union[FolderStatus, _Mapping]]] = ...) -> None: ...

class FolderStatus(_message.Message):
    __slots__ = ("run_dir", "run", "base_url", "records", "acked_seq", "size_bytes", "state", "error", "lost", "live", "recorded", "changed_unix_us", "due", "began_seq")
    RUN_DIR_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    ACKED_SEQ_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    BEGAN_SEQ_FIELD_NUMBER: _ClassVar[int]
    run_dir: str
    run: RunInfo
    base_url: str
    records: int
    acked_seq: int
    size_bytes: int
    state: str
    error: str
    lost: _containers.RepeatedScalarFieldContainer[str]
    live: bool
    recorded: bool
    changed_unix_us: int
    due: str
    began_seq: int
    def __init__(self, run_dir: _Optional[str] = ..., run: _Optional[_Union[RunInfo, _Mapping]] = ..., base_url: _Optional[str] = ..., records: _Optional[int] = ..., acked_seq: _Optional[int] = ..., size_bytes: _Optional[int] = ..., state: _Optional[str] = ..., error: _Optional[str] = ..., lost: _Optional[_Iterable[str]] = ..., live: _Optional[bool] = ..., recorded: _Optional[bool] = ..., changed_unix_us: _Optional[int] = ..., due: _Optional[str] = ..., began_seq: _Optional[int] = ...) -> None: ...

class SyncRequest(_message.Message):
    __slots__ = ("run_dirs", "destination")
    RUN_DIRS_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    run_dirs: _containers.RepeatedScalarFieldContainer[str]
    destination: Destination
    def __init__(self, run_dirs: _Optional[_Iterable[str]] = ..., destination: _Optional[_Union[Destination, _Mapping]] = ...) -> None: ...

class SyncProgress(_message.Message):
    __slots__ = ("folders",)
    FOLDERS_FIELD_NUMBER: _ClassVar[int]
    folders: _containers.RepeatedCompositeFieldContainer[FolderStatus]
    def __init__(self, folders: _Optional[_Iterable[_Union[FolderStatus, _Mapping]]] = ...) -> None: ...

class RemoveRequest(_message.Message):
    __slots__ = ("run_dirs", "unsynced")
    RUN_DIRS_FIELD_NUMBER: _ClassVar[int]
    UNSYNCED_FIELD_NUMBER: _ClassVar[int]
    run_dirs: _containers.RepeatedScalarFieldContainer[str]
    unsynced: bool
    def __init__(self, run_dirs: _Optional[_Iterable[str]] = ..., unsynced: _Optional[bool] = ...) -> None: ...

class RemoveResponse(_message.Message):
    __slots__ = ("folders",)
    FOLDERS_FIELD_NUMBER: _ClassVar[int]
    folders: _containers.RepeatedCompositeFieldContainer[FolderRemoval]
    def __init__(self, folders: _Optional[_Iterable[_Union[FolderRemoval, _Mapping]]] = ...) -> None: ...

class FolderRemoval(_message.Message):
    __slots__ = ("run_dir", "removed", "reason")
    RUN_DIR_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    run_dir: str
    removed: bool
    reason: str
    def __init__(self, run_dir: _Optional[str] = ..., removed: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...
