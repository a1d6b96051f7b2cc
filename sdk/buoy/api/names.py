"""Translates the field's names for run properties, in filters and orders, into the server's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from urllib.parse import quote

_NAMES = {
    "created_at": "created_us",
    "createdAt": "created_us",
    "displayName": "name",
    "display_name": "name",
    "heartbeatAt": "heartbeat_us",
    "heartbeat_at": "heartbeat_us",
    "jobType": "job_type",
    "name": "name",
}
_TIMES = {"created_us", "heartbeat_us", "started_us", "ended_us"}


def project_path(entity: str, project: str) -> str:
    """The project's part of the server's addresses."""
    return f"/api/v1/p/{quote(f'{entity}:{project}', safe='')}"


def key_of(name: str) -> str:
    """`config.lr.value` is `config.lr` here, `summary_metrics.loss` is `summary.loss`, `created_at` is `created_us`."""
    kind, dot, rest = name.partition(".")
    if kind == "config":
        return "config." + rest.removesuffix(".value")
    if kind == "summary_metrics":
        return "summary" + dot + rest
    return _NAMES.get(name, name)


def filters_of(filters: object, times: bool = False) -> object:
    """Filters with the server's names, and times as microseconds."""
    if isinstance(filters, Mapping):
        translated = {}
        for name, condition in filters.items():
            key = name if name.startswith("$") else key_of(name)
            translated[key] = filters_of(condition, times if key.startswith("$") else key in _TIMES)
        return translated
    if isinstance(filters, (list, tuple)):
        return [filters_of(item, times) for item in filters]
    return _microseconds(filters) if times else filters


def _microseconds(value: object) -> object:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return value
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return round(aware.timestamp() * 1e6)
    return value


def sort_of(order: str) -> list[dict[str, object]]:
    """`+created_at` or `-summary_metrics.loss,+name` as the server sorts."""
    keys = [key.strip() for key in re.split(r",(?=\s*[+-])", order)]
    return [{"key": key_of(key.lstrip("+-")), "desc": key.startswith("-")} for key in keys]
