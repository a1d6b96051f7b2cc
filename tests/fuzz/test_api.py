"""Requests of any kind that the API's own description suggests, and some that it forbids, at a real server.

Schemathesis makes them of `/openapi.json`. Whatever comes, the answer is one that the description has: no 5xx, and a
body of the described shape.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from typing import cast

import pytest
import requests
from buoy_server.web.app import make_app
from buoy_server.web.operations import document
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_dict, media_type
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.inputs import foreign
from tests.fuzz.targets import TARGETS
from tests.server.processes import ServerProcess
from tests.server.streams import Stream

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

ENDLESS = {"GET /api/v1/events"}
DESCRIPTION = document(make_app(None, "token").routes, "0")  # type: ignore[arg-type] - no request is made
OPERATIONS = [
    f"{method.upper()} {path}"
    for path, methods in cast(dict[str, dict[str, object]], DESCRIPTION["paths"]).items()
    for method in methods
]

STREAM = Stream("r1", project=f"fuzz-{secrets.token_hex(4)}")
NAMES = {
    "project": f"local:{STREAM.info.project}",
    "run": "r1",
    "stream": STREAM.stream_id.hex(),
    "view": "v1",
}

media_type("application/vnd.buoy.blocks", foreign(TARGETS["body"]))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a run that has all kinds of values."""
    writer = STREAM.writer(metadata={"program": "t.py"})
    writer.config({"lr": 0.1, "nested": {"a": [1, {"$int": "x"}]}, "tagged": {"$float": "y"}})
    values = [1.0, math.nan, math.inf, -math.inf, 1 << 60, 5e-324, 1.7e308, 3, True, "text", None]
    writer.log([(step, {"a": value, "b": step}) for step, value in enumerate(values)])
    writer.log([(step, {"a": 1.0}) for step in (-(1 << 63), (1 << 63) - 2)])
    writer.log([(0, {"gpu": 1.0})], system=True)
    with ServerProcess(tmp_path_factory.mktemp("server")) as process:
        process.client.post(STREAM.path, content=b"".join(STREAM.blocks)).raise_for_status()
        yield process


@pytest.mark.parametrize("name", sorted({*OPERATIONS} - ENDLESS))
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_any_request(server: ServerProcess, name: str, mode: GenerationMode) -> None:
    method, _, path = name.partition(" ")
    operation = from_dict(DESCRIPTION)[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.query or operation.body):
        return
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {server.token}"

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(mode), known=st.integers(0, 4))
    def check(case: Case, known: int) -> None:
        if known:
            # Made-up names lead nowhere.
            case.path_parameters = {each: NAMES[each] for each in case.path_parameters or {}}
        # Waiting is tested elsewhere.
        for part in (case.query, case.body):
            if isinstance(part, dict):
                part.pop("wait", None)
                part.pop("wait_s", None)
        response = case.call(base_url=server.url, session=session, timeout=60)
        case.validate_response(response, checks=CHECKS)

    check()
