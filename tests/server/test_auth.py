"""Who gets in: every route but the health check and the assets needs the token."""

from __future__ import annotations

import httpx
import pytest
from buoy_server.web import app
from buoy_server.web.auth import cookie_name
from starlette.routing import Route

from tests.server.processes import ServerProcess

PATHS = [
    "/",
    "/local/digits",
    "/local/digits/runs/r1",
    "/metrics",
    "/openapi.json",
    "/api/v1/projects",
    "/api/nowhere",
]


def ask(server: ServerProcess, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    encoded = {name: value.encode() for name, value in headers.items()}
    return httpx.request(method, server.url + path, headers=encoded, trust_env=False)


def test_every_route_needs_the_token(server: ServerProcess) -> None:
    for route in app._API:
        assert isinstance(route, Route)
        path = route.path.replace("{project}", "local:x").replace("{run}", "r").replace("{stream}", "0" * 32)
        for method in (route.methods or set()) - {"HEAD"}:
            expected = 200 if path == "/healthz" else 401
            assert ask(server, path, method).status_code == expected, (method, path)


@pytest.mark.parametrize("path", PATHS)
def test_wrong_tokens(server: ServerProcess, path: str) -> None:
    assert ask(server, path).status_code == 401
    for wrong in ("x", server.token[:-1], server.token + "x", server.token.upper(), "é"):
        answer = ask(server, path, authorization=f"Bearer {wrong}")
        assert answer.status_code in (401, 403), wrong
    assert ask(server, path, authorization=f"Basic {server.token}").status_code == 401
    assert ask(server, path, cookie=f"{cookie_name(server.token)}=nonsense").status_code == 403
    # The cookie of another server on this machine, or of a token that was replaced, is none.
    assert ask(server, path, cookie=f"{cookie_name('other')}={server.token}").status_code == 401


def test_a_browser_gets_a_page_that_says_what_to_do(server: ServerProcess) -> None:
    answer = ask(server, "/local/digits", accept="text/html,*/*")
    assert answer.status_code == 401
    assert "buoy server" in answer.text
    assert server.token not in answer.text


def test_problems_are_for_programs(server: ServerProcess) -> None:
    answer = ask(server, "/api/v1/projects")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] == "token_missing"


def test_the_link_sets_a_cookie_and_hides_the_token(server: ServerProcess) -> None:
    answer = ask(server, f"/local/digits?a=1&token={server.token}&b=%20x")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/local/digits?a=1&b=+x"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    name_and_value = cookie.partition(";")[0]
    assert ask(server, "/api/v1/projects", cookie=name_and_value).status_code == 200
    assert ask(server, "/api/v1/projects", cookie=f"other=1; {name_and_value}; {{x}}=2").status_code == 200


@pytest.mark.parametrize(("proto", "secure"), [("https", True), ("https, http", True), ("http", False)])
def test_a_cookie_that_was_set_over_https_never_goes_over_http(
    server: ServerProcess, proto: str, secure: bool
) -> None:
    answer = ask(server, f"/?token={server.token}", **{"x-forwarded-proto": proto})
    assert ("Secure" in answer.headers["set-cookie"]) is secure


def test_two_servers_on_one_host_do_not_log_each_other_out(server: ServerProcess) -> None:
    """Their cookies had one name, and a browser keeps one cookie of a name for all ports of a host."""
    mine = ask(server, f"/?token={server.token}").headers["set-cookie"].partition("=")[0]
    assert mine == cookie_name(server.token) != cookie_name("another")
    assert server.token not in mine


def test_a_wrong_link_sets_no_cookie(server: ServerProcess) -> None:
    answer = ask(server, "/?token=guess")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_the_link_leads_nowhere_else(server: ServerProcess) -> None:
    answer = ask(server, f"//evil.example/?token={server.token}")
    assert answer.headers["location"].startswith("/evil.example") or answer.status_code != 303


def test_the_api_takes_no_token_from_the_address(server: ServerProcess) -> None:
    assert ask(server, f"/api/v1/projects?token={server.token}").status_code == 401


def test_unknown_routes_are_problems(server: ServerProcess) -> None:
    answer = server.client.get("/api/v1/nowhere")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_route")
    answer = server.client.delete("/api/v1/projects")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
