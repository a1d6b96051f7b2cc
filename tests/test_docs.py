"""What the documents point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text)
    targets += re.findall(r'(?:src|srcset)="([^"]+)"', text)
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_named_tests_and_files_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for path, test in re.findall(
        r"`((?:tests|bench|core|proto|sdk|examples|web)/[\w/.-]*)(?:::(\w+))?`", text
    ):
        assert (ROOT / path).exists(), path
        if test:
            assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"
    for path, title in re.findall(r'`(web/[\w/.-]*)`: "([^"]+)"', text):
        assert f'it("{title}"' in (ROOT / path).read_text(encoding="utf-8"), f"{path}: {title}"


def test_every_picture_is_shown_somewhere_in_both_themes() -> None:
    text = "".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    pictures = sorted((ROOT / "docs" / "images").iterdir())
    assert pictures
    for picture in pictures:
        assert f"images/{picture.name}" in text
        other = picture.name.replace("light", "dark") if "light" in picture.name else None
        assert other is None or (picture.with_name(other)).exists(), other
