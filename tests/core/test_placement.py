"""Where the state folder is, when it may not or cannot be where it should."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from buoy_core import placement
from buoy_core.filesystem import in_memory, remote_kind
from buoy_core.placement import check_private, local_folders, place
from buoy_core.state import read_api_key, state_dir, store_api_key

from tests.crash.seam import FILE_SYSTEMS, Seam

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give folders away and mount")


@pytest.fixture(autouse=True)
def own_local_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """In place of /var/tmp and the like, which other tests use too."""
    parents = [tmp_path / "local1", tmp_path / "local2"]
    for parent in parents:
        parent.mkdir()
    monkeypatch.setattr(placement, "LOCAL_PARENTS", tuple(map(str, parents)))
    return parents


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that is mounted read-only."""
    folder = tmp_path / "readonly"
    folder.mkdir(mode=0o700)
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_the_wanted_place_is_taken_where_it_can_be(tmp_path: Path) -> None:
    wanted = tmp_path / "state"
    found = place(wanted)
    assert (found.folder, found.reason, found.notice) == (wanted, "", "")
    assert found.made
    assert stat.S_IMODE(wanted.stat().st_mode) == 0o700
    assert not place(wanted).made


def test_a_folder_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    place(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


@as_root
def test_a_read_only_home_has_its_state_on_a_local_disk(
    read_only: Path, own_local_parents: list[Path]
) -> None:
    found = place(read_only / "home/.local/state/buoy")
    assert found.folder.parent == own_local_parents[0]
    assert stat.S_IMODE(found.folder.stat().st_mode) == 0o700
    assert "Read-only file system" in found.notice
    assert str(found.folder) in found.notice
    # Each process comes to the same place, and only the first one made it.
    assert place(read_only / "home/.local/state/buoy") == found._replace(made=False)


@as_root
def test_an_existing_state_folder_that_became_read_only(
    read_only: Path, own_local_parents: list[Path]
) -> None:
    found = place(read_only)
    assert found.folder.parent == own_local_parents[0]
    assert "cannot be written" in found.notice


@as_root
def test_the_state_folder_of_another_user_is_refused(tmp_path: Path, own_local_parents: list[Path]) -> None:
    """As with `sudo -E`, which leaves HOME as it was."""
    (tmp_path / "state").mkdir(mode=0o700)
    os.chown(tmp_path / "state", 12345, 12345)
    found = place(tmp_path / "state")
    assert found.folder.parent == own_local_parents[0]
    assert "belongs to another user (uid 12345)" in found.notice
    assert list((tmp_path / "state").iterdir()) == []


def test_a_shared_state_folder_is_refused(tmp_path: Path, own_local_parents: list[Path]) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    found = place(tmp_path / "shared")
    assert found.folder.parent == own_local_parents[0]
    assert "shared folder" in found.notice
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o1777


@as_root
def test_a_folder_that_somebody_else_has_put_in_our_place_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "wanted").write_text("in the way")
    first, second = local_folders(tmp_path / "wanted")
    first.mkdir()
    os.chown(first, 12345, 12345)
    assert place(tmp_path / "wanted").folder == second


@as_root
def test_a_link_of_somebody_else_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "wanted").write_text("in the way")
    (tmp_path / "ours").mkdir()
    first, second = local_folders(tmp_path / "wanted")
    first.symlink_to(tmp_path / "ours")
    os.lchown(first, 12345, 12345)
    assert place(tmp_path / "wanted").folder == second
    with pytest.raises(PermissionError, match="another user"):
        check_private(first)


def test_a_link_of_our_own_is_followed(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "large")
    assert place(tmp_path / "state").folder == tmp_path / "state"


def test_without_any_place_it_says_so(tmp_path: Path, own_local_parents: list[Path]) -> None:
    (tmp_path / "wanted").write_text("in the way")
    for parent in own_local_parents:
        parent.rmdir()
        parent.write_text("in the way")
    with pytest.raises(OSError, match="can be used"):
        place(tmp_path / "wanted")


def test_keys_stay_in_the_home_that_machines_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_local_parents: list[Path]
) -> None:
    """The home is on NFS: `buoy login` on one node is enough for all."""
    home = tmp_path / "home/state"
    monkeypatch.setenv("BUOY_STATE_DIR", str(home))
    monkeypatch.setattr(
        placement, "remote_kind", lambda path: "nfs" if str(path).startswith(str(home)) else ""
    )
    store_api_key(state_dir(), "http://server", "secret")
    assert stat.S_IMODE((home / "credentials.json").stat().st_mode) == 0o600
    # Another node has a disk of its own.
    own_local_parents[0].rename(tmp_path / "other node")
    own_local_parents[0].mkdir()
    assert state_dir().parent == own_local_parents[0]
    assert read_api_key(state_dir(), "http://server") == "secret"


@as_root
def test_keys_without_a_home_to_write_to_stay_on_this_machine(
    read_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUOY_STATE_DIR", str(read_only / "state"))
    store_api_key(state_dir(), "http://server", "secret")
    assert read_api_key(state_dir(), "http://server") == "secret"


@pytest.mark.parametrize("kind", [name for name in FILE_SYSTEMS if name not in {"tmpfs", "ext4"}])
def test_each_kind_of_network_file_system_is_known(kind: str, tmp_path: Path) -> None:
    """As the kernel's statfs would name it, also for a folder that does not exist yet."""
    home = tmp_path / "home"
    home.mkdir()
    seam = Seam(tmp_path / "seam")
    code = f"""
from pathlib import Path
from buoy_core import placement
placement.LOCAL_PARENTS = ({str(tmp_path / "disk")!r},)
found = placement.place(Path({str(home / "state")!r}))
print(found.folder, found.reason, sep="|")
"""
    (tmp_path / "disk").mkdir()
    with seam.filesystem(home, kind):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **seam.environment()},
            capture_output=True,
            text=True,
            check=True,
        )
    folder, reason = done.stdout.strip().split("|")
    assert Path(folder).parent == tmp_path / "disk"
    assert reason.startswith("is on a network file system (")
    assert not (home / "state").exists()


def test_a_disk_and_memory_are_told_apart() -> None:
    assert remote_kind("/proc/self/no/such/file") == ""
    if sys.platform.startswith("linux") and Path("/dev/shm").is_dir():
        assert in_memory("/dev/shm")
