"""Rules of the configuration."""

from __future__ import annotations

import argparse
import enum
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from buoy.errors import ConfigError, UsageError
from buoy.tracking.config import Config


class Colour(enum.IntEnum):
    RED = 1


def test_access() -> None:
    config = Config({"lr": 0.1, "_hidden": 1})
    config["b"] = 2
    config.c = 3
    assert (config.lr, config["b"], config.get("c"), config.get("d", 4)) == (0.1, 2, 3, 4)
    assert "b" in config
    assert "d" not in config
    assert list(config) == list(config.keys()) == ["lr", "b", "c"]
    assert dict(config) == {**config} == config.as_dict() == {"lr": 0.1, "b": 2, "c": 3}
    assert config._hidden == 1
    with pytest.raises(AttributeError, match="object has no attribute 'd'"):
        _ = config.d
    with pytest.raises(KeyError):
        _ = config["d"]


def test_a_value_changes_only_if_it_may() -> None:
    config = Config({"lr": 0.1, "nan": math.nan, "layers": (1, 2)})
    config.lr = 0.1
    config.nan = math.nan
    config.layers = [1, 2]
    with pytest.raises(ConfigError, match="allow_val_change=True"):
        config.lr = 0.2
    with pytest.raises(ConfigError):
        config.update({"new": 1, "lr": 0.2})
    assert "new" not in config
    config.update({"lr": 0.2}, allow_val_change=True)
    assert config.lr == 0.2
    free = Config({"lr": 1}, allow_val_change=True)
    free.lr = 2
    assert free.lr == 2


def test_normalisation() -> None:
    given = {
        "--dashes": 1,
        "tuple": (1, (2, 3)),
        "set": {3, 1, 2},
        "mixed": {"a", 1},
        "numpy": np.float32(0.5),
        "array": np.arange(3),
        "nan": math.nan,
        "path": Path("/a/b"),
        "enum": Colour.RED,
        "deep": {"a": (1,), 2: {3}},
        "object": np.dtype("float32"),
        "function": math.sqrt,
    }
    config = Config(given)
    assert config.dashes == 1
    assert config.tuple == [1, [2, 3]]
    assert config.set == [1, 2, 3]
    assert sorted(config.mixed, key=str) == [1, "a"]
    assert config.numpy == 0.5
    assert type(config.numpy) is float
    assert config.array == [0, 1, 2]
    assert math.isnan(config.nan)
    assert config.path == "/a/b"
    assert config.enum == "RED"
    assert config.deep == {"a": [1], "2": [3]}
    assert config.object == "float32"
    assert config.function == "math.sqrt"
    assert given["tuple"] == (1, (2, 3))


def test_what_contains_itself_is_refused() -> None:
    loop: dict[str, object] = {}
    loop["self"] = loop
    with pytest.raises(ConfigError, match="contain itself"):
        Config({"loop": loop})


def test_setdefaults_only_adds() -> None:
    config = Config({"lr": 1})
    config.setdefaults({"lr": 2, "wd": 3})
    assert config.as_dict() == {"lr": 1, "wd": 3}


def test_forms_of_input(tmp_path: Path) -> None:
    namespace = argparse.Namespace(lr=1, name="x")
    assert Config(namespace).as_dict() == {"lr": 1, "name": "x"}
    assert Config(Config({"a": 1})).as_dict() == {"a": 1}
    plain = tmp_path / "plain.yaml"
    plain.write_text("lr: 1\nnested: {a: 2}\n")
    assert Config(plain).as_dict() == {"lr": 1, "nested": {"a": 2}}
    wrapped = tmp_path / "wrapped.yaml"
    wrapped.write_text("wandb_version: 1\nlr:\n  desc: rate\n  value: 1\n")
    assert Config(str(wrapped)).as_dict() == {"lr": 1}
    for bad in (tmp_path / "missing.yaml", 3, "a: b: c"):
        with pytest.raises(UsageError):
            Config(bad)
    with pytest.raises(TypeError):
        Config({1: 2})


def test_changes_are_told_once() -> None:
    told: list[tuple[dict[str, object], list[str]]] = []
    config = Config({"a": 1})
    config.persist(lambda values, removed: told.append((values, removed)))
    config.b = (1, 2)
    config.b = [1, 2]
    del config["a"]
    assert told == [({"a": 1}, []), ({"b": [1, 2]}, []), ({}, ["a"])]


def test_a_pickled_config_is_a_dict() -> None:
    assert pickle.loads(pickle.dumps(Config({"a": 1}))) == {"a": 1}
