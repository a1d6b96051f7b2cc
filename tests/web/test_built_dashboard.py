"""What ships inside the wheel: the built dashboard is whole, and asks nobody but its own server for anything."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "server" / "buoy_server" / "static"

pytestmark = pytest.mark.skipif(
    not (STATIC / "index.html").is_file(), reason="the dashboard is not built; run `make web`"
)


def test_every_file_the_page_names_is_there_and_relative() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    names = re.findall(r'(?:href|src)="([^"]+)"', re.sub(r"<base\b[^>]*>", "", page))
    assert len(names) >= 5
    for name in names:
        assert name.startswith("./assets/"), name
        assert (STATIC / name).is_file(), name


def test_page_has_no_inline_script_or_style() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert "<style" not in page


def test_style_loads_nothing_from_elsewhere() -> None:
    for path in (STATIC / "assets").glob("*.css"):
        for address in re.findall(r"url\(([^)]+)\)", path.read_text(encoding="utf-8")):
            name = address.strip("\"'")
            assert (path.parent / name).is_file(), f"{path.name} loads {name}"


def test_manifest_lists_what_was_built() -> None:
    manifest = json.loads((STATIC / ".vite" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["index.html"]["isEntry"]
    for entry in manifest.values():
        for name in [entry["file"], *entry.get("css", []), *entry.get("assets", [])]:
            assert (STATIC / name).is_file(), name


def test_text_is_compressed_beforehand_and_the_page_is_not() -> None:
    texts = [path for path in (STATIC / "assets").iterdir() if path.suffix in (".js", ".css", ".svg")]
    assert texts
    for path in texts:
        assert gzip.decompress(path.with_name(path.name + ".gz").read_bytes()) == path.read_bytes()
        assert path.with_name(path.name + ".br").is_file()
    # The server writes the base path into the page, so a compressed copy would be a stale one.
    assert not (STATIC / "index.html.gz").exists()


def test_first_paint_needs_little_script() -> None:
    manifest = json.loads((STATIC / ".vite" / "manifest.json").read_text(encoding="utf-8"))
    script = STATIC / manifest["index.html"]["file"]
    assert script.with_name(script.name + ".gz").stat().st_size <= 100_000
