"""API keys of servers, as the daemon finds them. None of them is ever logged."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from buoy_core import state

log = logging.getLogger(__name__)


class Credentials:
    """Keys given with Open, by the environment, and by the credentials file."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._given: dict[str, str] = {}
        self._lock = threading.Lock()

    def give(self, base_url: str, api_key: str) -> bool:
        """Keeps a key and stores it for daemons to come. True if it is new."""
        name = state.normalise_base_url(base_url)
        with self._lock:
            if self._given.get(name) == api_key:
                return False
            self._given[name] = api_key
            if state.read_api_key(self._state_dir, base_url) == api_key:
                return True
            try:
                state.store_api_key(self._state_dir, base_url, api_key)
            except OSError as error:
                log.warning("the API key of %s could not be stored: %s", name, error)
            return True

    def keys(self, base_url: str) -> list[str]:
        """The keys to try, best first: what a client gave, the environment's, the stored one."""
        found = [
            self._given.get(state.normalise_base_url(base_url)),
            os.environ.get("BUOY_API_KEY"),
            state.read_api_key(self._state_dir, base_url),
        ]
        return list(dict.fromkeys(key for key in found if key))
