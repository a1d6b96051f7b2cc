"""Settings: where each value comes from, and what it may be.

Highest first: argument of `init()`, `Settings` given to it, environment (`BUOY_*`), project file, user file, default.

    project file   `buoy.ini` in the current folder or the nearest folder above it that has one
    user file      `settings.ini` in `BUOY_CONFIG_DIR`, else in the platform's folder (~/.config/buoy)

Both are INI files with one section, `[buoy]`, and the names below as keys. A bad value in a file is reported and
skipped: a file may be older or newer than the program. A bad argument or variable raises, because somebody is there to
read it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from buoy_core.format import FREE_BYTES_MIN, SPOOL_BYTES_MAX
from buoy_core.state import DEFAULT_BASE_URL, normalise_base_url

from buoy.errors import UsageError

DEFAULT_ENTITY = "local"
"""Owner of the projects of whoever names none."""

PROJECT_FILE = "buoy.ini"
USER_FILE = "settings.ini"
SECTION = "buoy"

_MODES = {
    "online": "online",
    "run": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
    "shared": "shared",
}
RESUME = ("allow", "must", "never", "auto")
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}
_TAG_LENGTH_MAX = 64
_PROJECT_LENGTH_MAX = 128
_PROJECT_FORBIDDEN = "/\\#?%:"
_ID_FORBIDDEN = ":;,#?/'\\"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {type(value).__name__}")
    return value


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    raise ValueError(f"must be true or false, not {value!r}")


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"must be a number of seconds, not {value!r}")
    seconds = float(value)
    if not seconds >= 0:
        raise ValueError(f"must be a number of seconds from 0 up, not {value!r}")
    return seconds


def _amount(value: object, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"must be a number of {unit}, not {value!r}")
    try:
        amount = float(value)
    except ValueError:
        amount = -1.0
    if not amount >= 0:
        raise ValueError(f"must be a number of {unit} from 0 up, or inf, not {value!r}")
    return amount


def _days(value: object) -> float:
    return _amount(value, "days")


def _gigabytes(value: object) -> float:
    return _amount(value, "gigabytes")


_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}


def _bytes(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"must be a number of bytes, not {value!r}")
    text = str(value).strip().upper()
    shift = _UNITS.get(text[-1:], 0)
    digits = text[:-1] if shift else text
    if not digits.isdecimal():
        raise ValueError(f"must be a number of bytes such as 67108864 or 64M, not {value!r}")
    return int(digits) << shift


def _mode(value: object) -> str:
    if not isinstance(value, str) or value.strip().lower() not in _MODES:
        raise ValueError(f"must be one of {', '.join(_MODES)}, not {value!r}")
    return _MODES[value.strip().lower()]


def _transport(value: object) -> str:
    if value not in {"spool", "grpc"}:
        raise ValueError(f"must be spool or grpc, not {value!r}")
    return str(value)


def _finish_wait(value: object) -> str:
    if value not in {"disk", "upload"}:
        raise ValueError(f"must be disk or upload, not {value!r}")
    return str(value)


def _resume(value: object) -> str | None:
    if isinstance(value, bool):
        return "auto" if value else None
    text = value.strip().lower() if isinstance(value, str) else value
    if text in _TRUE:
        return "auto"
    if text not in RESUME:
        raise ValueError(f"must be one of {', '.join(RESUME)}, or True for auto, not {value!r}")
    return str(text)


def _url(value: object) -> str:
    text = normalise_base_url(_text(value))
    if not text.startswith(("http://", "https://")) or len(text.partition("://")[2]) == 0:
        raise ValueError(f"must be a URL such as {DEFAULT_BASE_URL}, not {value!r}")
    return text


def _folder(value: object) -> str:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ValueError(f"must be a path, not {value!r}")
    return os.fsdecode(value)


def check_project(value: object) -> str:
    """A valid project name, or ValueError."""
    name = _text(value)
    if not name or len(name) > _PROJECT_LENGTH_MAX:
        raise ValueError(f"must have 1 to {_PROJECT_LENGTH_MAX} characters, not {len(name)}")
    if found := sorted(set(name) & set(_PROJECT_FORBIDDEN)):
        raise ValueError(
            f"may not contain {' '.join(found)} (none of {' '.join(_PROJECT_FORBIDDEN)}): {name!r}"
        )
    return name


def check_run_id(value: object) -> str:
    """A valid run id, or ValueError."""
    name = _text(value)
    if not name or name != name.strip():
        raise ValueError(f"may not be empty or begin or end with white space: {name!r}")
    if len(name) > _PROJECT_LENGTH_MAX:
        raise ValueError(f"must have at most {_PROJECT_LENGTH_MAX} characters, not {len(name)}")
    if found := sorted(set(name) & set(_ID_FORBIDDEN)):
        raise ValueError(f"may not contain {' '.join(found)} (none of {' '.join(_ID_FORBIDDEN)}): {name!r}")
    if name.strip(".") == "" or not name.isprintable():
        raise ValueError(f"must be printable and more than dots: {name!r}")
    return name


def check_tags(value: object) -> tuple[str, ...]:
    """Tags without repetitions, in their order, or ValueError. Text from the environment is split at commas."""
    if isinstance(value, str) or not isinstance(value, (list, tuple, set, frozenset)):
        raise ValueError(f"must be a list or tuple of strings, not {value!r}")
    for tag in value:
        if not isinstance(tag, str) or not 1 <= len(tag) <= _TAG_LENGTH_MAX:
            raise ValueError(f"must be strings of 1 to {_TAG_LENGTH_MAX} characters, not {tag!r}")
    return tuple(dict.fromkeys(sorted(value) if isinstance(value, (set, frozenset)) else value))


def _ranks(value: object) -> str | tuple[int, ...]:
    if isinstance(value, str) and value.strip().lower() in {"all", "zero"}:
        return value.strip().lower()
    if isinstance(value, str):
        value = [int(part) for part in value.split(",")] if value.replace(",", "").strip().isdigit() else None
    if isinstance(value, (list, tuple, range)) and all(type(rank) is int and rank >= 0 for rank in value):
        return tuple(value)
    raise ValueError('must be "all", "zero" or a list of ranks such as [0, 8]')


def _split_tags(text: str) -> object:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


class Field(NamedTuple):
    """One setting."""

    variable: str
    check: Callable[[object], object]
    default: object = None
    split: Callable[[str], object] | None = None
    """Turns the text of a file or of the environment into what `check` takes."""


FIELDS: dict[str, Field] = {
    "api_key": Field("BUOY_API_KEY", _text),
    "base_url": Field("BUOY_BASE_URL", _url, DEFAULT_BASE_URL),
    "dir": Field("BUOY_DIR", _folder, "buoy"),
    "entity": Field("BUOY_ENTITY", check_project),
    "finish_patience": Field("BUOY_FINISH_PATIENCE", _seconds, 60.0),
    "finish_timeout": Field("BUOY_FINISH_TIMEOUT", _seconds, 30.0),
    "free_bytes_min": Field("BUOY_FREE_BYTES_MIN", _bytes, FREE_BYTES_MIN),
    "finish_wait": Field("BUOY_FINISH_WAIT", _finish_wait),
    "fork_from": Field("BUOY_FORK_FROM", _text),
    "keep_days": Field("BUOY_KEEP_DAYS", _days),
    "keep_gb": Field("BUOY_KEEP_GB", _gigabytes),
    "mode": Field("BUOY_MODE", _mode, "online"),
    "project": Field("BUOY_PROJECT", check_project),
    "quiet": Field("BUOY_QUIET", _flag, False),
    "ranks": Field("BUOY_RANKS", _ranks),
    "resume": Field("BUOY_RESUME", _resume),
    "resume_from": Field("BUOY_RESUME_FROM", _text),
    "run_group": Field("BUOY_RUN_GROUP", _text),
    "run_id": Field("BUOY_RUN_ID", check_run_id),
    "run_job_type": Field("BUOY_JOB_TYPE", _text),
    "run_name": Field("BUOY_NAME", _text),
    "run_notes": Field("BUOY_NOTES", _text),
    "run_tags": Field("BUOY_TAGS", check_tags, (), _split_tags),
    "silent": Field("BUOY_SILENT", _flag, False),
    "spool_bytes_max": Field("BUOY_SPOOL_BYTES_MAX", _bytes, SPOOL_BYTES_MAX),
    "start_timeout": Field("BUOY_START_TIMEOUT", _seconds, 5.0),
    "telemetry": Field("BUOY_TELEMETRY", _flag, True),
    "transport": Field("BUOY_TRANSPORT", _transport, "spool"),
}


class Settings:
    """Values that change how buoy works; what is not given keeps coming from the environment, files and defaults.

    Args:
        **values: any of the names below.

    Attributes:
        api_key: key of the server; looked up in the credentials file if absent.
        base_url: the server.
        dir: folder of the run folders.
        entity: owner of the project.
        finish_patience: seconds after which `finish()` no longer waits for a server that takes nothing.
        finish_timeout: seconds after which `finish()` no longer waits for a daemon that puts nothing on disk.
        finish_wait: "disk" or "upload": where the data is when `finish()` returns. By default on the server where
            nothing outlives the job (in containers and in jobs of SLURM, PBS and LSF), else on disk.
        free_bytes_min: room on the disk of the spools that is left to others.
        fork_from: "RUN_ID?_step=N": begins a run with the steps of another one up to N.
        keep_days: days after which the daemon removes the local copy once a server has it; inf keeps it for ever.
        keep_gb: gigabytes that uploaded copies may take together before this one goes, the oldest first.
        mode: online, offline, disabled or shared.
        project: project of the run.
        quiet: no summary at the end.
        ranks: "all", "zero" or the ranks of a distributed job that log.
        resume: allow, must, never or auto; see `init()`.
        resume_from: "RUN_ID?_step=N": goes on with that run after step N.
        run_group: group of the run.
        run_id: id of the run.
        run_job_type: job type of the run.
        run_name: display name of the run.
        run_notes: notes of the run.
        run_tags: tags of the run.
        silent: say nothing but errors.
        spool_bytes_max: most that may wait on disk for the daemon, for each process; beyond it rows are dropped.
        start_timeout: seconds that `init()` waits for the daemon.
        telemetry: sample the hardware while the run lasts.
        transport: spool, or grpc for processes that share no disk with the daemon.

    Raises:
        UsageError: a name is unknown or a value is not allowed.
    """

    api_key: str | None
    base_url: str
    dir: str
    entity: str | None
    finish_patience: float
    finish_timeout: float
    finish_wait: str | None
    free_bytes_min: int
    fork_from: str | None
    keep_days: float | None
    keep_gb: float | None
    mode: str
    project: str | None
    quiet: bool
    ranks: str | tuple[int, ...] | None
    resume: str | None
    resume_from: str | None
    run_group: str | None
    run_id: str | None
    run_job_type: str | None
    run_name: str | None
    run_notes: str | None
    run_tags: tuple[str, ...]
    silent: bool
    spool_bytes_max: int
    start_timeout: float
    telemetry: bool
    transport: str

    def __init__(self, **values: object) -> None:
        for name, value in values.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, checked(name, value))

    def __getattr__(self, name: str) -> object:
        # Only reached for what was not given.
        if name in FIELDS:
            return FIELDS[name].default
        raise AttributeError(f"Settings has no {name!r}; known: {', '.join(FIELDS)}")

    def __iter__(self) -> Iterator[tuple[str, object]]:
        return iter(sorted(vars(self).items()))

    def __repr__(self) -> str:
        shown = (f"{name}={'***' if name == 'api_key' else repr(value)}" for name, value in self)
        return f"Settings({', '.join(shown)})"


def checked(name: str, value: object) -> object:
    """The value as it is kept; None stands for the default.

    Raises:
        UsageError: the name is unknown or the value is not allowed.
    """
    if name not in FIELDS:
        raise UsageError(f"there is no setting {name!r}; known: {', '.join(FIELDS)}")
    if value is None:
        return FIELDS[name].default
    try:
        return FIELDS[name].check(value)
    except ValueError as error:
        raise UsageError(f"setting {name}: {error}") from None


def _from_text(name: str, text: str) -> object:
    split = FIELDS[name].split if name in FIELDS else None
    return checked(name, split(text) if split else text)


def from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    """What the variables say; an empty variable counts as absent.

    Raises:
        UsageError: a variable holds a value that is not allowed.
    """
    found = {}
    for name, field in FIELDS.items():
        if text := environment.get(field.variable):
            try:
                found[name] = _from_text(name, text)
            except UsageError as error:
                raise UsageError(f"environment variable {field.variable}: {error}") from None
    return found


def from_file(path: Path, warn: Callable[[str], None]) -> dict[str, object]:
    """What a file says. Whatever is wrong with it is told through `warn` and skipped."""
    if not path.is_file():
        return {}
    import configparser  # noqa: PLC0415  few have such a file

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        warn(f"settings file {path} is ignored: {str(error).splitlines()[0]}")
        return {}
    found = {}
    for name, text in parser.items(SECTION) if parser.has_section(SECTION) else ():
        try:
            found[name] = _from_text(name, text)
        except UsageError as error:
            warn(f"settings file {path}: {error}; this line is skipped")
    return found


def user_file(environment: Mapping[str, str]) -> Path:
    """Where the user's settings are."""
    if given := environment.get("BUOY_CONFIG_DIR"):
        return Path(given).expanduser() / USER_FILE
    from platformdirs import user_config_path  # noqa: PLC0415  `import buoy` must not pay for it

    return user_config_path("buoy", appauthor=False) / USER_FILE


def project_file(folder: Path) -> Path:
    """The nearest project file in `folder` or above; a path in `folder` that does not exist if there is none."""
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate / PROJECT_FILE
    return folder / PROJECT_FILE


def resolve(
    *layers: Mapping[str, object] | Settings | None,
    warn: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Puts all sources together.

    Args:
        *layers: what the program gave, weakest first; None and values that are None count as not given.
        warn: is told what is wrong with a file.
        environment: the variables, `os.environ` by default.

    Raises:
        UsageError: an argument or a variable is not allowed.
    """
    environment = os.environ if environment is None else environment
    merged: dict[str, object] = from_file(user_file(environment), warn)
    merged.update(from_file(project_file(Path.cwd()), warn))
    merged.update(from_environment(environment))
    for layer in layers:
        items = layer.items() if isinstance(layer, Mapping) else layer or ()
        merged.update((name, value) for name, value in items if value is not None)
    return Settings(**merged)
