"""Which page has sent a request: ours, or one of somebody else that uses the viewer's cookie.

`SameSite` alone does not tell them apart: to a browser every port of a host, and every other name of its domain, is the
same site. Two headers do, and no script can set either.

    Sec-Fetch-Site   there, when the address is https or this machine: must be `same-origin`
    Origin           there, on each request that may change something: must be the host that was asked
    neither          no browser of the last years; programs send the token, not a cookie
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def from_own_page(headers: Headers) -> bool:
    """Whether the browser says that a page of this very origin asks."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    try:
        host = urlsplit(headers.get("origin", "")).netloc
    except ValueError:
        return False
    return bool(host) and host.lower() == headers.get("host", "").lower()
