"""The configuration of a run: what was decided before training, by key or by attribute."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from pathlib import Path
from typing import Any

from buoy.errors import ConfigError, UsageError
from buoy.values import plain

Publish = Callable[[dict[str, object], list[str]], None]
"""Takes the top-level values that were set and the keys that were removed."""


def _ignore(values: dict[str, object], removed: list[str]) -> None:
    pass


class Config(Mapping[str, Any]):
    """A dict that is also an object, and that tells the run about each change.

    A key that has a value keeps it unless the caller says `allow_val_change=True`, at `init()` or in `update()`: a
    configuration that changed under way describes no training. Assigning the same value again is always fine.
    Values are kept as JSON has them (tuples are lists). Keys that begin with `_` are left out of iteration.
    """

    _data: dict[str, Any]
    _allow: bool
    _publish: Publish

    def __init__(
        self, values: object = None, *, allow_val_change: bool = False, publish: Publish = _ignore
    ) -> None:
        object.__setattr__(self, "_data", {})
        object.__setattr__(self, "_allow", allow_val_change)
        object.__setattr__(self, "_publish", publish)
        if values is not None:
            self.update(values)

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        del self._data[key]
        self._publish({}, [key])

    def __getattr__(self, name: str) -> Any:
        try:
            return self._data[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: object) -> None:
        self.update({name: value})

    def __delattr__(self, name: str) -> None:
        if name not in self._data:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        del self[name]

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._data if not key.startswith("_"))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __repr__(self) -> str:
        return repr(self.as_dict())

    def __reduce__(self) -> tuple[object, ...]:
        # A copy in another process is a plain dict: it has no run to tell.
        return dict, (self.as_dict(),)

    def keys(self) -> KeysView[str]:
        """The names, without those that begin with `_`."""
        return self.as_dict().keys()

    def items(self) -> ItemsView[str, Any]:
        """Names and values, without those that begin with `_`."""
        return self.as_dict().items()

    def values(self) -> ValuesView[Any]:
        """The values of `keys()`."""
        return self.as_dict().values()

    def as_dict(self) -> dict[str, Any]:
        """A copy as a plain dict."""
        return {key: self._data[key] for key in self}

    def update(self, values: object = None, allow_val_change: bool | None = None, **named: object) -> None:
        """Sets several values.

        Args:
            values: a mapping, a namespace, absl flags, or the path of a YAML file.
            allow_val_change: whether keys may get another value; what `init()` was told if None.
            **named: more values.

        Raises:
            ConfigError: a key has another value already; nothing was changed then.
        """
        new = {**to_dict(values), **named}
        changed: dict[str, object] = {}
        for key, value in new.items():
            name, kept = _key(key), _plain(key, value)
            if name in self._data and _same(self._data[name], kept):
                continue
            if name in self._data and not (self._allow if allow_val_change is None else allow_val_change):
                raise ConfigError(
                    f"config.{name} is {self._data[name]!r} and would become {kept!r}; if that is meant, say "
                    f"config.update({{{name!r}: ...}}, allow_val_change=True)"
                )
            changed[name] = kept
        if changed:
            self._data.update(changed)
            self._publish(changed, [])

    def setdefaults(self, values: object) -> None:
        """Sets those keys that have no value yet."""
        self.update({key: value for key, value in to_dict(values).items() if _key(key) not in self._data})

    @property
    def changeable(self) -> bool:
        """Whether keys may get another value."""
        return self._allow

    def inherit(self, values: Mapping[str, object]) -> None:
        """Takes over values that another process has told already."""
        self._data.update(values)

    def persist(self, publish: Publish) -> None:
        """Tells every value there is to `publish`, and each later change."""
        object.__setattr__(self, "_publish", publish)
        if self._data:
            publish(dict(self._data), [])


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"config keys must be strings, not {key!r}")
    # argparse and others leave the dashes of options on.
    return key.lstrip("-") or key


def _plain(key: object, value: object) -> object:
    try:
        return plain(value)
    except ValueError as error:
        raise ConfigError(f"config.{key}: {error}") from None


def _same(one: object, other: object) -> bool:
    # NaN is not equal to itself, but its text is.
    return one == other or repr(one) == repr(other)


def to_dict(values: object) -> dict[str, object]:
    """The forms in which users keep a configuration, as a dict.

    Raises:
        UsageError: it is none of them, or the file cannot be read.
    """
    if values is None:
        return {}
    if isinstance(values, Mapping):
        return dict(values)
    if isinstance(values, (str, Path)):
        return _from_yaml(Path(values))
    if callable(flags := getattr(values, "flag_values_dict", None)):
        return dict(flags())
    try:
        return dict(vars(values))
    except TypeError:
        raise UsageError(
            f"config must be a dict, a namespace or the path of a YAML file, not {type(values).__name__}"
        ) from None


def _from_yaml(path: Path) -> dict[str, object]:
    import yaml  # noqa: PLC0415  few keep their configuration in a file

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"config file {path} cannot be read: {error}") from None
    if not isinstance(loaded, dict):
        raise UsageError(f"config file {path} must hold names and values")
    # The layout in which trackers of the field write their files: {key: {value: ..., desc: ...}}.
    loaded.pop("wandb_version", None)
    return {
        str(key): value["value"]
        if isinstance(value, dict) and value.keys() <= {"value", "desc"} and "value" in value
        else value
        for key, value in loaded.items()
    }
