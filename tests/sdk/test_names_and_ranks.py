"""Ids, names, default projects, and the place of a process in its job."""

from __future__ import annotations

import random
import re
from pathlib import Path

from buoy import ids
from buoy.ranks import logs


def test_ids_do_not_repeat_when_the_user_seeds() -> None:
    found = set()
    for _ in range(100):
        random.seed(0)
        found.add(ids.random_id())
    assert len(found) == 100
    assert all(re.fullmatch("[0-9a-z]{8}", one) for one in found)


def test_names_follow_from_the_id() -> None:
    assert ids.name_of("abc") == ids.name_of("abc")
    names = {ids.name_of(str(number)) for number in range(1000)}
    assert len(names) > 990
    assert all(re.fullmatch(r"[a-z]+-[a-z]+-\d+", name) for name in names)


def test_default_project(tmp_path: Path) -> None:
    repository = tmp_path / "my:repo"
    (repository / ".git").mkdir(parents=True)
    (repository / "src" / "train").mkdir(parents=True)
    assert ids.default_project(repository) == "my-repo"
    assert ids.default_project(repository / "src" / "train") == "my-repo-src-train"
    # Somewhere above the test's folder there might be a repository, but not above the root.
    assert ids.default_project(Path("/")) == "uncategorized"


def test_which_ranks_log() -> None:
    assert [logs("all", rank) for rank in range(3)] == [True, True, True]
    assert [logs("zero", rank) for rank in range(3)] == [True, False, False]
    assert [logs((0, 2), rank) for rank in range(3)] == [True, False, True]
