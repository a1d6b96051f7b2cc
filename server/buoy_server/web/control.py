"""Routes by which daemons show that they live, and by which people stop runs."""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from buoy_server.errors import Malformed
from buoy_server.liveness.backlogs import Backlog, Backlogs
from buoy_server.liveness.pulse import wall_us
from buoy_server.liveness.stops import BY_CHARACTERS_MAX, VIAS, Wish, request_stop
from buoy_server.services import Services
from buoy_server.web.answers import JSONAnswer, read_object
from buoy_server.web.operations import Operation, json_of
from buoy_server.web.shapes import BEAT, BEAT_ANSWER, STOP, STOP_WISH, STREAMS_MAX

_WAIT_S_MAX = 3600
_STREAM_ID = re.compile(r"[0-9a-f]{32}")


@Operation(
    "A daemon's heartbeat: says which writers live, and waits for requests to stop one",
    body=json_of(BEAT),
    answers=json_of(BEAT_ANSWER),
    problems=(400, 413),
)
async def heartbeat(request: Request) -> Response:
    """POST /api/v1/heartbeat: answers at once if a stream has to stop that the daemon was not told of."""
    services: Services = request.app.state.services
    given = await read_object(request)
    wait_s = given.get("wait_s", 0)
    if isinstance(wait_s, bool) or not isinstance(wait_s, int | float) or not 0 <= wait_s <= _WAIT_S_MAX:
        raise Malformed("bad_parameter", f"wait_s is a number of seconds from 0 to {_WAIT_S_MAX}.")
    stops = await services.pulse.beat(
        _streams(given, "streams"), _streams(given, "told"), wait_s, _behind(given.get("behind", {}))
    )
    found = [{"stream": stream, "reason": stops[stream]} for stream in sorted(stops)]
    return JSONAnswer({"stop": found, "crashed_after_s": services.pulse.grace_s})


def _streams(given: dict[str, object], name: str) -> list[str]:
    found = given.get(name, [] if name == "told" else None)
    if (
        isinstance(found, list)
        and len(found) <= STREAMS_MAX
        and all(isinstance(each, str) and _STREAM_ID.fullmatch(each) for each in found)
    ):
        return found
    raise Malformed(
        "bad_parameter",
        f"{name} is a list of at most {STREAMS_MAX} stream ids, 32 hexadecimal digits each, in lower case.",
    )


def _behind(given: object) -> Backlogs:
    found: Backlogs = {}
    if isinstance(given, dict) and len(given) <= STREAMS_MAX:
        for stream, said in given.items():
            writers = said.get("writers", {}) if isinstance(said, dict) else None
            if not (
                _STREAM_ID.fullmatch(stream)
                and isinstance(writers, dict)
                and _is_offset(said.get("next_seq"))
            ):
                break
            if not all(_STREAM_ID.fullmatch(name) and _is_offset(offset) for name, offset in writers.items()):
                break
            found[stream] = Backlog(said["next_seq"], writers)
        else:
            return found
    raise Malformed(
        "bad_parameter",
        'behind is {STREAM: {"next_seq": SEQUENCE, "writers": {WRITER: OFFSET}}} with ids as in streams.',
    )


def _is_offset(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


@Operation(
    "Asks the processes of a run's present attempt to stop, as Ctrl-C would",
    path=("project", "run"),
    body=json_of(STOP_WISH),
    answers=json_of(STOP),
    problems=(400, 404, 409, 413),
)
async def stop(request: Request) -> Response:
    """POST /api/v1/p/{project}/runs/{run}/stop: asking again changes nothing; a later resume is not stopped."""
    services: Services = request.app.state.services
    wish = _wish(await read_object(request))
    path = request.path_params
    made, changed = await run_in_threadpool(
        request_stop, services.metadata, path["project"], path["run"], wish, wall_us()
    )
    if changed is not None:
        services.announce(changed)
    services.pulse.wake()
    return JSONAnswer(made)


def _wish(given: dict[str, object]) -> Wish:
    via, by = given.get("via", "api"), given.get("by", "")
    if not isinstance(via, str) or via not in VIAS:
        raise Malformed("bad_parameter", f"via is one of {', '.join(VIAS)}.")
    if not isinstance(by, str) or len(by) > BY_CHARACTERS_MAX:
        raise Malformed("bad_parameter", f"by is a text of at most {BY_CHARACTERS_MAX} characters.")
    return Wish(via, "".join(character if character.isprintable() else " " for character in by))
