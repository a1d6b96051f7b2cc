"""Where settings come from and what they may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from buoy.errors import UsageError
from buoy.settings import FIELDS, Settings, resolve


def quiet(text: str) -> None:
    raise AssertionError(f"nothing should be wrong: {text}")


def test_defaults() -> None:
    settings = resolve(warn=quiet, environment={"BUOY_CONFIG_DIR": "/nowhere"})
    assert settings.base_url == "http://127.0.0.1:8765"
    assert (settings.mode, settings.transport, settings.dir, settings.run_tags) == (
        "online",
        "spool",
        "buoy",
        (),
    )


def test_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source beats the one before: user file, project file, environment, Settings, argument."""
    monkeypatch.chdir(tmp_path)
    environment = {"BUOY_CONFIG_DIR": str(tmp_path / "user")}
    seen = []
    layers: list[object] = []

    def look() -> None:
        seen.append(resolve(*layers, warn=quiet, environment=environment).project)  # type: ignore[arg-type]

    look()
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "settings.ini").write_text("[buoy]\nproject = from-user\n")
    look()
    (tmp_path / "buoy.ini").write_text("[buoy]\nproject = from-project\n")
    look()
    environment["BUOY_PROJECT"] = "from-environment"
    look()
    layers.append(Settings(project="from-settings"))
    look()
    layers.append({"project": "from-argument"})
    look()
    layers.append({"project": None})
    look()
    assert seen == [
        None, "from-user", "from-project", "from-environment", "from-settings", "from-argument", "from-argument"
    ]  # fmt: skip


def test_project_file_of_a_folder_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "buoy.ini").write_text("[buoy]\nrun_tags = a, b\nquiet = yes\n")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    settings = resolve(warn=quiet, environment={"BUOY_CONFIG_DIR": "/nowhere"})
    assert settings.run_tags == ("a", "b")
    assert settings.quiet is True


def test_a_bad_line_in_a_file_is_told_and_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "buoy.ini").write_text("[buoy]\nmode = sometimes\nwings = 2\nproject = kept\n")
    told: list[str] = []
    settings = resolve(warn=told.append, environment={"BUOY_CONFIG_DIR": "/nowhere"})
    assert (settings.project, settings.mode) == ("kept", "online")
    assert "'sometimes'" in told[0]
    assert "wings" in told[1]
    assert "known: api_key" in told[1]


def test_a_broken_file_is_told_and_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "buoy.ini").write_text("project = no section\n")
    told: list[str] = []
    assert resolve(warn=told.append, environment={"BUOY_CONFIG_DIR": "/nowhere"}).project is None
    assert "is ignored" in told[0]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("dryrun", "offline"),
        ("run", "online"),
        ("OFFLINE", "offline"),
        ("shared", "shared"),
        ("disabled", "disabled"),
    ],
)
def test_modes(given: str, kept: str) -> None:
    assert Settings(mode=given).mode == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "sometimes"),
        ("project", "a/b"),
        ("project", ""),
        ("project", "x" * 129),
        ("project", 3),
        ("run_id", "a:b"),
        ("run_id", ""),
        ("run_id", " a"),
        ("run_id", "a/b"),
        ("run_id", ".."),
        ("run_tags", ["x" * 65]),
        ("run_tags", [""]),
        ("run_tags", "one"),
        ("base_url", "localhost:8765"),
        ("base_url", "http://"),
        ("transport", "pigeon"),
        ("finish_timeout", -1),
        ("finish_timeout", "soon"),
        ("silent", "perhaps"),
        ("keep_days", -1),
        ("keep_days", "nan"),
        ("keep_gb", "10G"),
        ("keep_gb", True),
        ("spool_bytes_max", "lots"),
        ("spool_bytes_max", "G"),
        ("free_bytes_min", -1),
        ("ranks", [-1]),
        ("ranks", "some"),
        ("resume", "sometimes"),
    ],
)
def test_bad_values(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"setting {name}: "):
        Settings(**{name: value})


def test_bad_variable_is_named() -> None:
    with pytest.raises(UsageError, match="environment variable BUOY_MODE"):
        resolve(warn=quiet, environment={"BUOY_MODE": "sometimes"})


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(UsageError, match="known: api_key, base_url"):
        Settings(wings=2)


def test_every_variable_is_read() -> None:
    texts = {
        "base_url": "http://host:1", "mode": "offline", "run_tags": "a,b", "quiet": "1", "silent": "true",
        "ranks": "0,8", "resume": "allow", "transport": "grpc", "finish_timeout": "3",
        "finish_patience": "3", "finish_wait": "upload",
        "start_timeout": "2", "telemetry": "off", "spool_bytes_max": "2G", "free_bytes_min": "100000",
        "keep_days": "30.5", "keep_gb": "inf",
    }  # fmt: skip
    environment = {field.variable: texts.get(name, "text") for name, field in FIELDS.items()}
    settings = resolve(warn=quiet, environment={**environment, "BUOY_CONFIG_DIR": "/nowhere"})
    assert {name for name, _ in settings} == set(FIELDS)
    assert settings.ranks == (0, 8)
    assert settings.telemetry is False
    assert (settings.keep_days, settings.keep_gb) == (30.5, float("inf"))
    assert (settings.spool_bytes_max, settings.free_bytes_min) == (2 << 30, 100_000)


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(Settings(api_key="secret"))
