"""`init()`: which run the caller means, and whether it is a new one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from buoy import ids
from buoy.errors import UsageError
from buoy.launch import launch_id, may_be_restarted, shared_launch_id
from buoy.ranks import detect, job_name, logs, parent_identity
from buoy.settings import Settings, check_tags, resolve
from buoy.tracking import exits, session
from buoy.tracking.config import Config, to_dict
from buoy.tracking.messages import Messages
from buoy.tracking.resume import NEW, Resumption, find_resumption, project_of, remember, settle_arguments
from buoy.tracking.run import Run
from buoy.tracking.start import silent_run, start_run

_REINIT: dict[object, str] = {
    None: "default",
    "default": "default",
    False: "return_previous",
    "return_previous": "return_previous",
    True: "finish_previous",
    "finish_previous": "finish_previous",
    "create_new": "create_new",
}

_launches: dict[str, int] = {}
"""How often this process has joined each run, by its path."""

_silence_told = False
"""Whether this process has said that its rank logs nothing."""

_jobs_started = 0
"""Runs that this process has joined by the name of its job: each rank calls init() in the same order."""


def init(  # noqa: PLR0917  the field's signature
    entity: str | None = None,
    project: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Any = None,
    config: Any = None,
    config_exclude_keys: list[str] | None = None,
    config_include_keys: list[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    ranks: str | list[int] | tuple[int, ...] | None = None,
    settings: Settings | Mapping[str, object] | None = None,
    **unsupported: object,
) -> Run:
    """Starts a run, or joins the one that is open. It never waits for a server.

    While a `with` block of the active run is open, a further `init()` returns that run, and only the outermost
    exit ends it.

    Args:
        entity: owner of the project.
        project: where the run belongs; by default named after the git repository, else "uncategorized".
        dir: folder of the run folders, `./buoy` by default.
        id: unique in the project; random by default.
        name: for people; made of two words and a number by default.
        notes: free text.
        tags: labels of 1 to 64 characters.
        config: a dict, a namespace, absl flags, or the path of a YAML file.
        config_exclude_keys: keys of `config` to leave out.
        config_include_keys: keys of `config` to keep.
        allow_val_change: whether configuration values may change later; by default only in notebooks.
        group: runs that belong together.
        job_type: train, eval, and so on.
        mode: online, offline, disabled or shared (every process that gives this id writes the same run).
        reinit: what to do when a run is open: "default" (return it; in a notebook finish it), "return_previous"
            (False), "finish_previous" (True) or "create_new".
        resume: what to do if the run is there already, on the server or in the local folders. "allow": go on after its
            last step, or begin it; "must": go on, or raise; "never": raise; "auto" (True): as "allow", with the id of
            the last run of this folder that did not come to a good end. Without it (or False) the run gets another
            attempt that begins at step 0, unless a scheduler has started the job again: that goes on like "allow".
        resume_from: "RUN_ID?_step=N": goes on with that run after step N; what it logged later is superseded.
        fork_from: "RUN_ID?_step=N": a new run that begins with the steps of that one up to N.
        ranks: which processes of a distributed job log into the one run: "all", "zero" or a list. By default
            all of them if they were given an id, else rank 0.
        settings: `Settings`, or a dict with its names.
        **unsupported: arguments of the field's API that this version does not have.

    Raises:
        UsageError: an argument is not allowed.
        ValueError: a tag is not allowed.
    """
    for argument, value in unsupported.items():
        _check_unsupported(argument, value)
    if config_exclude_keys and config_include_keys:
        raise UsageError("init: give config_exclude_keys or config_include_keys, not both")
    if reinit not in _REINIT:
        raise UsageError(
            f"init: reinit must be one of {', '.join(str(key) for key in _REINIT)}, not {reinit!r}"
        )
    if tags is not None:
        check_tags(tags)
    given = {
        "entity": entity, "project": project, "dir": dir, "run_id": id, "run_name": name, "run_notes": notes,
        "run_tags": tags, "run_group": group, "run_job_type": job_type, "mode": mode,
        "resume": None if resume is False else resume, "resume_from": resume_from, "fork_from": fork_from,
        "ranks": ranks,
    }  # fmt: skip
    early = Messages()
    resolved = resolve(settings, given, warn=early.warn)
    values = _filtered(to_dict(config), config_include_keys, config_exclude_keys)
    if (joined := _existing(_REINIT[reinit], resolved, given, values)) is not None:
        return joined
    changeable = _in_notebook() if allow_val_change is None else allow_val_change
    settle_arguments(resolved)
    run = _new(resolved, values, allow_val_change=changeable)
    session.add(run, make_active=reinit != "create_new")
    exits.install()
    return run


def _check_unsupported(argument: str, value: object) -> None:
    known = {
        "anonymous", "force", "monitor_gym", "save_code", "sync_tensorboard", "tensorboard",
    }  # fmt: skip
    if argument not in known:
        raise TypeError(f"init() got an unexpected keyword argument {argument!r}")
    # Saying no to what is not there is what the caller gets anyway.
    if value:
        raise UsageError(f"init: {argument} is not supported by this version of buoy; leave it out")


def _filtered(
    values: dict[str, object], include: list[str] | None, exclude: list[str] | None
) -> dict[str, object]:
    if include:
        return {key: value for key, value in values.items() if key in include}
    return {key: value for key, value in values.items() if key not in (exclude or ())}


def _existing(
    reinit: str, resolved: Settings, given: Mapping[str, object], values: Mapping[str, object]
) -> Run | None:
    """The open run that this call means; None if it means a new one."""
    if reinit == "create_new":
        return None
    # A guest's process may go on with the run that it was given, but asks for one of its own here, unless it names it.
    live = [run for run in session.live() if not run._is_guest_here() or _is_named(run, resolved)]
    run = session.active() if session.active() in live else next(reversed(live), None)
    if run is None:
        return None
    if reinit == "finish_previous" or (reinit == "default" and _in_notebook() and not run._blocks):
        for earlier in reversed(live):
            earlier.finish()
        return None
    for name, own in (("run_id", run.id), ("project", run.project), ("entity", run.entity)):
        if given[name] is not None and getattr(resolved, name) != own and not run.disabled:
            run._messages.warn(
                f"init({name.removeprefix('run_')}={given[name]!r}) joins run {run.name} ({run.path}), which is open; "
                "finish it first, or say reinit='create_new'"
            )
    run.config.setdefaults(values)
    run._joins += 1
    return run


def _is_named(run: Run, resolved: Settings) -> bool:
    return resolved.run_id == run.id and resolved.project in {None, run.project}


def _new(settings: Settings, values: dict[str, object], *, allow_val_change: bool) -> Run:
    messages = Messages(silent=settings.silent)
    rank = detect(os.environ)
    shared = settings.mode == "shared"
    if shared:
        settings.mode = "online"
    chosen = settings.ranks or ("all" if shared or settings.run_id else "zero")
    several = rank.world_size > 1 and settings.mode != "disabled"
    if several and not logs(chosen, rank.rank):
        _say_silent(chosen, rank.rank, messages)
        config = Config(values, allow_val_change=allow_val_change)
        return silent_run(settings, settings.run_id or ids.random_id(), rank, config, messages)
    joins = several and chosen not in {"zero", (0,)}
    run_id = settings.run_id or (_job_id() if joins else ids.random_id())
    if any(run.id == run_id for run in session.live()):
        raise UsageError(
            f"init: run id {run_id} is in use by a run that is open in this process; finish it first"
        )
    launch = _launch(settings, run_id, shared=shared, joins=joins)
    resumption = NEW
    if settings.mode != "disabled":
        named = settings.run_id is not None and settings.run_id == os.environ.get("BUOY_RUN_ID")
        restarted = may_be_restarted(os.environ, id_from_environment=named)
        resumption = find_resumption(settings, run_id, launch=launch, restarted=restarted, warn=messages.warn)
    config = _config(values, resumption, allow_val_change=allow_val_change)
    first = chosen[0] if isinstance(chosen, tuple) else 0
    owner = not joins or rank.rank == first
    if settings.resume == "auto" and owner and settings.mode != "disabled":
        remember(settings, run_id)
    return start_run(
        settings, run_id, rank, config, messages, owner=owner, launch=launch, resumption=resumption
    )


def _say_silent(chosen: str | tuple[int, ...], rank: int, messages: Messages) -> None:
    """Says that ranks log nothing: once, by the lowest of them, however many runs it begins."""
    global _silence_told
    if _silence_told or any(not logs(chosen, lower) for lower in range(rank)):
        return
    _silence_told = True
    who = f"ranks other than {', '.join(map(str, chosen))}" if isinstance(chosen, tuple) else "ranks above 0"
    messages.say(f"{who} log nothing; say buoy.init(ranks='all') and they all log into the one run")


def _config(values: dict[str, object], resumption: Resumption, *, allow_val_change: bool) -> Config:
    """The configuration that the run goes on from, with what is given now on top."""
    past = resumption.past.config if resumption.past is not None else {}
    return Config({**past, **values}, allow_val_change=allow_val_change)


def _launch(settings: Settings, run_id: str, *, shared: bool, joins: bool) -> bytes:
    path = f"{settings.entity}/{project_of(settings)}/{run_id}"
    if shared:
        return shared_launch_id(path)
    if not joins:
        return b""
    # Each rank calls init() in the same order, so they agree on how often it was called for a run.
    _launches[path] = _launches.get(path, 0) + 1
    return launch_id(os.environ, _job(), f"{path}#{_launches[path]}")


def _job() -> str:
    """What all ranks share, empty if there is nothing: then the daemon tells attempts by who is alive."""
    try:
        return job_name(os.environ, parent_identity())
    except UsageError:
        return "/".join(filter(None, (os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT"))))


def _job_id() -> str:
    global _jobs_started
    job = job_name(os.environ, parent_identity())
    _jobs_started += 1
    return ids.derived_id(f"{job}#{_jobs_started}")


def _in_notebook() -> bool:
    """Whether the code runs in cells, whose top level is executed again and again."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
