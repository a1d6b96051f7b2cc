"""The dashboard's files: caching, base path, compression, policy, and what a copy without a dashboard says."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from buoy_server.services import Services
from buoy_server.web import static
from buoy_server.web.app import make_app

INDEX = '<!doctype html><html><head data-x="1"><base href="/"><title>buoy</title></head><body></body></html>'
SCRIPT = "console.log('buoy')"


@pytest.fixture(autouse=True)
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as Vite leaves it."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "buoy.svg").write_text("<svg/>")
    (folder / "assets" / "main-abc.js").write_text(SCRIPT)
    (folder / "assets" / "main-abc.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (folder / "assets" / "main-abc.js.br").write_bytes(b"brotli")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(static, "STATIC", folder)
    return folder


class Client:
    """Asks the application inside this process, where its folder of files can be another one."""

    def __init__(self, services: Services, **headers: str) -> None:
        self._transport = httpx.ASGITransport(make_app(services, "token"))
        self._headers = {"Accept-Encoding": "identity", **headers}

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://buoy") as client:
                return await client.get(path, headers={**self._headers, **(headers or {})})

        return asyncio.run(ask())


@pytest.fixture
def client(services: Services) -> Client:
    return Client(services, Authorization="Bearer token")


@pytest.mark.parametrize("path", ["/", "/local/digits", "/local/digits/runs/r.1", "/local/my project/x/y"])
def test_every_page_is_the_same_file(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.text == INDEX
    assert answer.headers["cache-control"] == "no-cache"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("prefix", "base"),
    [
        ("/buoy", "/buoy/"),
        ("/a/b/", "/a/b/"),
        ('/"><script>', "/"),
        ("//evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_the_base_path_comes_from_the_proxy(client: Client, prefix: str, base: str) -> None:
    answer = client.get("/local/digits", headers={"X-Forwarded-Prefix": prefix})
    assert answer.text.count("<base") == 1
    assert f'<base href="{base}">' in answer.text


def test_a_changed_page_has_another_tag(built: Path, client: Client) -> None:
    before = client.get("/").headers["etag"]
    (built / "index.html").write_text(INDEX.replace("buoy", "buoy 2"))
    assert client.get("/", headers={"If-None-Match": before}).status_code == 200


def test_assets_are_for_ever_and_need_no_token(services: Services) -> None:
    stranger = Client(services)
    answer = stranger.get("/assets/main-abc.js")
    assert (answer.status_code, answer.text) == (200, SCRIPT)
    assert "immutable" in answer.headers["cache-control"]
    assert "javascript" in answer.headers["content-type"]


def test_packed_assets(client: Client) -> None:
    answer = client.get("/assets/main-abc.js", headers={"Accept-Encoding": "gzip"})
    assert (answer.headers["content-encoding"], answer.text) == ("gzip", SCRIPT)
    answer = client.get("/assets/main-abc.js", headers={"Accept-Encoding": "gzip, br"})
    assert (answer.headers["content-encoding"], answer.content) == ("br", b"brotli")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/none.js",
        "/assets/../index.html",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/",
    ],
)
def test_nothing_else_is_served(client: Client, path: str) -> None:
    assert "secret" not in client.get(path).text


def test_files_beside_the_page(client: Client) -> None:
    assert client.get("/buoy.svg").text == "<svg/>"
    assert client.get("/index.html").text == INDEX
    assert client.get("/none.svg").text == INDEX


def test_a_copy_without_a_dashboard_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    monkeypatch.setattr(static, "STATIC", tmp_path / "nowhere")
    answer = client.get("/local/digits")
    assert answer.status_code == 503
    assert "make web" in answer.text
    assert client.get("/assets/x.js").status_code == 404


def test_the_link_works_behind_a_prefix(services: Services) -> None:
    answer = Client(services).get("/local/digits?token=token", headers={"X-Forwarded-Prefix": "/buoy"})
    assert answer.headers["location"] == "/buoy/local/digits"
    assert "Path=/buoy/" in answer.headers["set-cookie"]
