"""What protects the viewer: headers on every answer, and no change on the word of somebody else's page."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from buoy_server.web import app
from buoy_server.web.auth import cookie_name
from buoy_server.web.safety import HEADERS, POLICY
from starlette.routing import Route

from tests.server.processes import ServerProcess
from tests.server.streams import Stream

#: Word for word what the dashboard was designed for; what a policy does not say, it allows.
DESIGNED = (
    "default-src 'self'; script-src 'self'; worker-src 'self'; img-src 'self' blob: data:; "
    "style-src 'self' 'unsafe-inline'; frame-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'self'"
)


def directives(policy: str) -> dict[str, str]:
    return dict(re.findall(r"([a-z-]+) ([^;]+)", policy))


def test_the_policy_is_as_designed_and_closes_what_default_src_leaves_open() -> None:
    more = {"frame-ancestors": "'self'", "form-action": "'self'"}
    assert directives(POLICY) == directives(DESIGNED) | more


def assert_safe(answer: httpx.Response) -> None:
    for name, value in HEADERS.items():
        assert answer.headers.get_list(name) == [value], (answer.request.url, name)


def test_every_route_answers_safely_to_anybody(server: ServerProcess) -> None:
    routes = [route for route in (*app._API, *app._PAGES) if isinstance(route, Route)]
    assert len(routes) > 30
    with httpx.Client(base_url=server.url, trust_env=False) as anybody:
        for route in routes:
            path = re.sub(r"\{(\w+)(:path)?\}", r"\1", route.path).replace("/stream/", f"/{'0' * 32}/")
            for method in sorted(route.methods or {"GET"}):
                for headers in ({}, {"Authorization": f"Bearer {server.token}"}, {"Accept": "text/html"}):
                    # This one is answered for ever.
                    if path != "/api/v1/events" or "Authorization" not in headers:
                        assert_safe(anybody.request(method, path, headers=headers))
    with server.client.stream("GET", "/api/v1/events") as answer:
        assert_safe(answer)


def test_links_refusals_and_strange_methods_answer_safely(server: ServerProcess) -> None:
    for path in (f"/?token={server.token}", "/?token=wrong", "/a?token=", "//evil.example/"):
        assert_safe(httpx.get(server.url + path, trust_env=False))
    for method in ("OPTIONS", "PROPFIND", "TRACE"):
        assert_safe(server.client.request(method, "/api/v1/projects"))


def test_an_error_of_the_server_answers_safely(tmp_path: Path) -> None:
    """Starlette sends it past all middleware, so it once had none of the headers."""
    with ServerProcess(tmp_path) as broken:
        metadata = broken.data_dir / "metadata.sqlite"
        for path in metadata.parent.glob("metadata.sqlite*"):
            path.write_bytes(b"no database" * 1000)
        answer = broken.client.get("/api/v1/projects")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert_safe(answer)


def test_no_other_origin_may_read(server: ServerProcess) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PATCH"}
    for method in ("GET", "OPTIONS"):
        answer = server.client.request(method, "/api/v1/projects", headers=asked)
        assert not [name for name in answer.headers if name.startswith("access-control")]


# Changes


@pytest.fixture
def run(server: ServerProcess, request: pytest.FixtureRequest) -> str:
    """The path of a run's API."""
    name = re.sub(r"\W", "-", request.node.name)[-60:]
    stream = Stream(name, project="safety")
    stream.writer().log([(0, {"loss": 1.0})])
    server.client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
    return f"/api/v1/p/local:safety/runs/{name}"


def change(server: ServerProcess, run: str, **headers: str) -> httpx.Response:
    """As a browser does it that has the cookie: a form can send this body without asking first."""
    cookie = f"{cookie_name(server.token)}={server.token}"
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(
        server.url + run + "/stop",
        content=b"{}",
        headers={"Cookie": cookie, "Content-Type": "text/plain"} | names,
        trust_env=False,
    )


FOREIGN = [
    {"sec_fetch_site": "cross-site", "origin": "https://evil.example"},
    # Another port of this machine, another name of this domain: SameSite lets both through.
    {"sec_fetch_site": "same-site", "origin": "http://127.0.0.1:1"},
    {"sec_fetch_site": "none"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://[broken"},
    {"origin": ""},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_page_changes_nothing(server: ServerProcess, run: str, headers: dict[str, str]) -> None:
    answer = change(server, run, **headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert server.client.get(run).json()["stop"] is None


def test_the_host_that_a_page_claims_is_not_believed_over_what_the_browser_says(
    server: ServerProcess, run: str
) -> None:
    own = server.url.removeprefix("http://")
    assert change(server, run, origin=server.url, sec_fetch_site="cross-site").status_code == 403
    assert (
        change(server, run, origin="http://evil.example", x_forwarded_host="evil.example").status_code == 403
    )
    assert change(server, run, origin=f"http://{own}.evil.example").status_code == 403
    assert change(server, run, origin=f"http://user@{own}").status_code == 403


@pytest.mark.parametrize("by", ["fetch metadata", "origin"])
def test_the_dashboard_itself_changes_things(server: ServerProcess, run: str, by: str) -> None:
    headers = {"sec_fetch_site": "same-origin"} if by == "fetch metadata" else {"origin": server.url.upper()}
    assert change(server, run, **headers).status_code == 200
    assert server.client.get(run).json()["stop"] is not None


def test_programs_send_the_token_and_need_no_origin(server: ServerProcess, run: str) -> None:
    assert (
        server.client.post(run + "/stop", headers={"Origin": "https://notebook.example"}).status_code == 200
    )


def test_every_route_that_changes_something_is_closed_to_foreign_pages(server: ServerProcess) -> None:
    cookie = {"Cookie": f"{cookie_name(server.token)}={server.token}", "Sec-Fetch-Site": "same-site"}
    closed = 0
    with httpx.Client(base_url=server.url, headers=cookie, trust_env=False) as page:
        for route in app._API:
            assert isinstance(route, Route)
            for method in (route.methods or set()) - {"GET", "HEAD"}:
                path = re.sub(r"\{(\w+)\}", r"\1", route.path)
                answer = page.request(method, path)
                assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin"), (method, path)
                closed += 1
    assert closed >= 14
