"""The server under a path of its own behind a real nginx, as docs/operations.md says to set it up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from buoy_server.web import live, static
from buoy_server.web.auth import cookie_name
from buoy_server.web.uploads import BODY_BYTES_MAX

from tests.crash.stack import wait_until
from tests.server import nginx
from tests.server.nginx import Nginx
from tests.server.processes import PATIENCE_S, ServerProcess, environment
from tests.server.streams import Stream

pytestmark = pytest.mark.skipif(nginx.binary() is None, reason="no nginx here: apt-get install nginx")


@pytest.fixture(scope="module")
def proxy(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with Nginx(tmp_path_factory.mktemp("nginx"), server.url) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ServerProcess, proxy: Nginx) -> Iterator[httpx.Client]:
    """A program that knows the token and only the proxy's address."""
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=proxy.url, headers=headers, timeout=PATIENCE_S, trust_env=False) as opened:
        yield opened


def test_the_link_lets_a_browser_in_below_the_path(server: ServerProcess, proxy: Nginx) -> None:
    with httpx.Client(trust_env=False, headers={"Accept": "text/html"}) as browser:
        assert browser.get(proxy.url + "/local/digits").status_code == 401
        answer = browser.get(f"{proxy.url}/local/digits?x=1&token={server.token}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/buoy/local/digits?x=1")
        assert "Path=/buoy/;" in answer.headers["set-cookie"]
        assert browser.get(proxy.url + "/api/v1/projects").status_code == 200
        # A person who types the address without its last slash gets there too.
        assert browser.get(proxy.url).headers["location"] == proxy.url + "/"
    assert server.token not in proxy.log()


@pytest.mark.skipif(not (static.STATIC / "index.html").is_file(), reason="the dashboard is not built")
@pytest.mark.parametrize("path", ["/", "/local/digits", "/local/digits/runs/r1?tab=events"])
def test_pages_and_their_files_are_below_the_path(client: httpx.Client, path: str) -> None:
    page = client.get(path)
    assert page.text.count('<base href="/buoy/">') == 1
    names = re.findall(r'(?:href|src)="\./([^"]+)"', page.text)
    assert names
    for name in names:
        answer = client.get("/" + name)
        assert answer.status_code == 200, name
        assert "immutable" in answer.headers["cache-control"]


def test_a_page_behind_the_proxy_may_change_things_and_others_may_not(
    server: ServerProcess, client: httpx.Client, proxy: Nginx
) -> None:
    stream = Stream("proxied", project="proxy")
    stream.writer().log([(0, {"loss": 1.0})])
    client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
    cookie = f"{cookie_name(server.token)}={server.token}"
    for origin, status in ((proxy.origin, 200), (server.url, 403), ("https://evil.example", 403)):
        answer = httpx.patch(
            proxy.url + "/api/v1/p/local:proxy/runs/proxied",
            json={"notes": origin},
            headers={"Cookie": cookie, "Origin": origin},
            trust_env=False,
        )
        assert answer.status_code == status, answer.text
    assert client.get("/api/v1/p/local:proxy/runs/proxied").json()["notes"] == proxy.origin


def test_events_arrive_while_the_stream_goes_on(client: httpx.Client) -> None:
    """A proxy that collects what it passes on would hold them back: there are some hundred bytes only."""
    stream = Stream("nudged", project="nudges")
    stream.writer().log([(0, {"loss": 1.0})])
    with client.stream("GET", "/api/v1/events?p=local:nudges") as events:
        lines = events.iter_lines()
        assert next(lines) == ": connected"
        client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
        told = (json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))
        assert next(data["runs"] for data in told if data["runs"])[0][0] == "nudged"


def test_a_long_poll_waits_for_news_and_no_longer(client: httpx.Client) -> None:
    stream = Stream("polled", project="polls")
    client.post(stream.path, content=stream.blocks[0]).raise_for_status()
    rev = client.get("/api/v1/p/local:polls/rev").json()["rev"]
    stream.writer().log([(0, {"loss": 1.0})])
    later = threading.Timer(0.3, client.post, [stream.path], {"content": b"".join(stream.blocks[1:])})
    later.start()
    assert client.get(f"/api/v1/p/local:polls/rev?since={rev}&wait=60").json()["rev"] > rev
    later.join()
    patience_s = re.search(r"proxy_read_timeout (\d+)s;", nginx.documented())
    assert patience_s is not None
    assert int(patience_s[1]) > live._WAIT_S_MAX


def test_the_largest_upload_goes_through(client: httpx.Client) -> None:
    path = f"/api/v1/streams/{'5' * 32}/blocks"
    for size, status in ((BODY_BYTES_MAX, 400), (BODY_BYTES_MAX + 1, 413)):
        answer = client.post(path, content=bytes(size))
        # It is no block, so it is refused: but by the server, which says why, not by nginx.
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["100% of+it", "%2e%41", "a&b=c;d,e", "ночь 夜", "x..y", "'quoted' <b>"])
def test_names_come_through_as_they_are(client: httpx.Client, name: str) -> None:
    """nginx decodes an address and encodes it again."""
    stream = Stream(name, project=name)
    stream.writer().log([(0, {"loss": 1.0})])
    client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
    answer = client.get(f"/api/v1/p/{quote('local:' + name, safe='')}/runs/{quote(name, safe='')}")
    assert (answer.status_code, answer.json().get("id")) == (200, name)


TRAINING = """
import buoy
run = buoy.init(project="behind", id="nginx")
for step in range(500):
    run.log({"loss": 1 / (step + 1)})
run.finish()
"""


def test_a_training_logs_through_the_proxy(
    server: ServerProcess, client: httpx.Client, tmp_path: Path
) -> None:
    proxied = str(client.base_url).rstrip("/")
    ours = environment(
        tmp_path, BUOY_DIR=str(tmp_path), BUOY_BASE_URL=proxied, BUOY_API_KEY=server.token, BUOY_SILENT="1"
    )
    subprocess.run([sys.executable, "-c", TRAINING], env=ours, check=True, timeout=PATIENCE_S)
    try:
        found = wait_until(
            lambda: [
                run.json()
                for run in [client.get("/api/v1/p/local:behind/runs/nginx")]
                if run.status_code == 200 and run.json()["state"] == "finished"
            ],
            "the run at the server",
            PATIENCE_S,
        )
        assert found[0]["summary"]["loss"] == 1 / 500
    finally:
        subprocess.run(
            [sys.executable, "-m", "buoy", "daemon", "stop"], env=ours, check=True, timeout=PATIENCE_S
        )
