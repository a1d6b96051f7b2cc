"""Where the server is mounted, as the browser sees it."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import Scope

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def forwarded_prefix(scope: Scope) -> str:
    """The path that a proxy cut off, without a slash at the end. Anything that is no plain path counts as none."""
    prefix = Headers(scope=scope).get("x-forwarded-prefix", "").rstrip("/")
    return prefix if _PREFIX.fullmatch(prefix) else ""


def base_path(scope: Scope) -> str:
    """The path below which all pages are; begins and ends with a slash."""
    root = str(scope.get("root_path", "")).rstrip("/")
    return (forwarded_prefix(scope) or (root if _PREFIX.fullmatch(root) else "")) + "/"


def is_https(scope: Scope) -> bool:
    """Whether the browser's connection is encrypted, as far as the server or the proxy in front of it can tell."""
    forwarded = Headers(scope=scope).get("x-forwarded-proto", "").partition(",")[0].strip()
    return "https" in (scope.get("scheme"), forwarded)
