"""What the paths of an export mean: run folders, or runs and projects on the server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from buoy_core.errors import CoreError

from buoy.api import Api, Run
from buoy.errors import CommError, UsageError
from buoy.export.exporter import Source
from buoy.export.folder_run import FolderRun
from buoy.export.fragments import LogFolder
from buoy.export.server_run import ServerRun
from buoy.local import run_folders

_NOT_FOUND = 404
_TIMEOUT_S = 120.0
"""A page is a quarter of a million values, and the server may have others to serve."""


def find_sources(paths: Sequence[str], scratch: Path) -> Iterator[Source]:
    """Each run once, in the order of the paths. Folders of one run are one run.

    Args:
        paths: run folders, folders of run folders, `entity/project/run`, `project/run`, `entity/project`, `project`
            or the id of a run.
        scratch: where there is room for temporary files.

    Raises:
        UsageError: a folder has no run.
        CommError: the server has no such thing, or cannot be reached.
    """
    folders = [folder for path in paths if _is_local(path) for folder in _folders(Path(path))]
    yield from _folder_runs(dict.fromkeys(folders), scratch)
    seen: set[tuple[str, ...]] = set()
    api: Api | None = None
    for path in paths:
        if _is_local(path):
            continue
        api = api or Api(timeout=_TIMEOUT_S)
        for run in _runs(api, path):
            if tuple(run.path) not in seen:
                seen.add(tuple(run.path))
                yield ServerRun(run)


def _is_local(path: str) -> bool:
    """Whether a folder is meant. A folder of code may well be called like its project, so it has to have runs in it."""
    folder = Path(path)
    if not folder.is_dir():
        return False
    return path[0] in "./~" or (folder / "wal").is_dir() or bool(run_folders(folder))


def _folders(path: Path) -> list[Path]:
    path = path.resolve()
    found = [path] if (path / "wal").is_dir() else run_folders(path)
    if not found:
        raise UsageError(f"{path} is no run folder (it has no wal/ in it), and there are none in it")
    return found


def _folder_runs(folders: Iterable[Path], scratch: Path) -> Iterator[Source]:
    # Only what run.json or the log's first records say is needed to tell runs apart, but a log is read once anyway.
    runs: dict[tuple[str, str, str], list[LogFolder]] = {}
    for folder in folders:
        try:
            log = LogFolder(folder)
        except (CoreError, OSError) as error:
            raise UsageError(f"{folder} cannot be read: {error}") from None
        info = log.facts.info
        runs.setdefault((info.entity, info.project, info.run_id), []).append(log)
    for logs in runs.values():
        yield FolderRun(logs, scratch)


def _runs(api: Api, path: str) -> Iterable[Run]:
    """The run that is meant, or all runs of the project."""
    parts = path.strip("/").split("/")
    if len(parts) > 2:
        return [api.run(path)]
    if len(parts) == 2 and (run := _run(api, path)) is not None:
        return [run]
    if any(path.strip("/") in {project.path, project.name} for project in api.projects()):
        return api.runs(path.strip("/"))
    if len(parts) == 1 and (run := _run(api, path)) is not None:
        return [run]
    raise CommError(
        f"the server has no run and no project {path}, and there is no such folder; `buoy runs` lists what there is",
        status=_NOT_FOUND,
        code="not_found",
    )


def _run(api: Api, path: str) -> Run | None:
    try:
        return api.run(path)
    except CommError as error:
        if error.status != _NOT_FOUND:
            raise
        return None
