"""What each route takes and gives, said where its handler is, and the OpenAPI document made of it.

    @Operation("Where a stream stands", path=("stream",), answers=json_of(POSITION), problems=(400,))
    async def position(request): ...

A route of the API without an operation is a fault of the programmer: `document()` asserts. The shapes are in
`shapes.py`; a test holds the answers of a real server against them, members that no shape names included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.routing import BaseRoute, Route

from buoy_server.web.shapes import COMPONENTS, PROBLEM, Schema

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

_PROBLEMS = {
    400: "The request is wrong; sending it again changes nothing",
    401: "No token",
    403: "A wrong token",
    404: "What was asked for does not exist",
    409: "The request does not fit the present state",
    412: "What is to be changed is no longer what the client has seen",
    413: "Larger than the server takes at once",
    503: "Busy, or the disk is full; the same request may succeed later",
}

_PATH = {
    "project": "The project as `entity:project`",
    "run": "Id of a run",
    "view": "Id of a view: up to 64 letters, digits, _ and -",
    "stream": "Id of a stream: 32 hexadecimal digits, lower case",
}


@dataclass(frozen=True)
class Query:
    """A parameter of the query string."""

    name: str
    schema: Schema
    about: str


@dataclass(frozen=True)
class Operation:
    """One method of one route; as a decorator it says so of a handler.

    Attributes:
        summary: One line for people.
        path: Names of the path's parameters.
        query: Parameters of the query string; all may be left out.
        body: Schemas of what the request may carry, by media type; empty = nothing.
        answers: Schemas of a 200, by media type.
        problems: Statuses of problem documents, those about the token aside.
        kept: The answer has an ETag, and 304 is possible.
        public: Needs no token.
    """

    summary: str
    path: Sequence[str] = ()
    query: Sequence[Query] = ()
    body: Mapping[str, Schema] = field(default_factory=dict)
    answers: Mapping[str, Schema] = field(default_factory=dict)
    problems: Sequence[int] = ()
    kept: bool = False
    public: bool = False

    def __call__(self, handler: _Handler) -> _Handler:
        """Notes that `handler` is this operation."""
        _operations[handler] = self
        return handler


_operations: dict[Callable[..., Any], Operation] = {}


def json_of(schema: Schema) -> dict[str, Schema]:
    """A body or an answer that is JSON."""
    return {"application/json": schema}


def document(routes: Iterable[BaseRoute], version: str) -> dict[str, object]:
    """The OpenAPI document of all routes that are for programs."""
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        if not isinstance(route, Route) or not route.include_in_schema:
            continue
        said = _operations.get(route.endpoint)
        assert said is not None, f"{route.path} says nothing about itself; see buoy_server.web.operations"
        assert set(said.path) == set(route.param_convertors), f"{route.path} has other parameters"
        for method in sorted((route.methods or set()) - {"HEAD"}):
            paths.setdefault(route.path, {})[method.lower()] = _described(route.name, said)
    return {
        "openapi": "3.1.0",
        "info": {"title": "buoy", "version": version, "description": "A self-hosted experiment tracker."},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(name: str, said: Operation) -> dict[str, object]:
    path = [
        {
            "name": each,
            "in": "path",
            "required": True,
            "description": _PATH[each],
            "schema": {"type": "string"},
        }
        for each in said.path
    ]
    query = [
        {"name": each.name, "in": "query", "description": each.about, "schema": each.schema}
        for each in said.query
    ]
    found: dict[str, object] = {"operationId": name, "summary": said.summary}
    if path or query:
        found["parameters"] = path + query
    if said.body:
        found["requestBody"] = {"required": True, "content": _content(said.body)}
    if said.public:
        found["security"] = []
    return found | {"responses": _responses(said)}


def _responses(said: Operation) -> dict[str, object]:
    found: dict[str, object] = {"200": {"description": "As asked", "content": _content(said.answers)}}
    if said.kept:
        tag = {"ETag": {"description": "For If-None-Match", "schema": {"type": "string"}}}
        found["200"] = {"description": "As asked", "headers": tag, "content": _content(said.answers)}
        found["304"] = {"description": "The client has it already"}
    statuses = set(said.problems) | (set() if said.public else {401, 403})
    for status in sorted(statuses):
        found[str(status)] = {
            "description": _PROBLEMS[status],
            "content": _content({"application/problem+json": PROBLEM}),
        }
    return found


def _content(schemas: Mapping[str, Schema]) -> dict[str, object]:
    return {media_type: {"schema": schema} for media_type, schema in schemas.items()}
