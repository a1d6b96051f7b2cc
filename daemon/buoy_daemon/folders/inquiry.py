"""Single questions to servers: how much they have of a log, say."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from buoy_daemon.credentials import Credentials
from buoy_daemon.uploader.client import Client
from buoy_daemon.uploader.plan import Refused, Stored, Trouble, outcome_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """`next_seq`: everything below is on the server; None if it did not say, with the reason."""

    next_seq: int | None
    state: str = ""
    error: str = ""


Ask = Callable[[str, bytes], Answer]


class Inquiry:
    """For any thread."""

    def __init__(self, credentials: Credentials, *, timeout_s: float) -> None:
        self._credentials = credentials
        self._timeout_s = timeout_s

    @contextmanager
    def session(self) -> Iterator[Ask]:
        """A function that asks; a server that has not answered once is not asked again."""
        clients: dict[str, Client] = {}
        silent: dict[str, Answer] = {}

        def ask(base_url: str, stream_id: bytes) -> Answer:
            if base_url not in silent:
                if base_url not in clients:
                    clients[base_url] = self._client(base_url)
                answer = _ask(clients[base_url], stream_id)
                if answer.state != "unreachable":
                    return answer
                silent[base_url] = answer
            return silent[base_url]

        try:
            yield ask
        finally:
            for client in clients.values():
                client.close()

    def show_life(self, base_url: str, machine_id: str, stream_id: bytes) -> None:
        """Says once that a stream was alive. If nothing follows and its log has no end, the server misses it in time.

        Without that a run whose machine has died with its end unwritten would count as running for ever.
        """
        body = {"machine_id": machine_id, "streams": [stream_id.hex()], "wait_s": 0}
        client = self._client(base_url)
        outcome = client.post_json("/api/v1/heartbeat", json.dumps(body).encode(), outcome_of)
        log.debug("%s answers a sign of life of %s: %s", base_url, stream_id.hex(), outcome)
        client.close()

    def _client(self, base_url: str) -> Client:
        return Client(base_url, timeout_s=self._timeout_s, keys=lambda: self._credentials.keys(base_url))


def _ask(client: Client, stream_id: bytes) -> Answer:
    outcome = client.next_seq(stream_id)
    # The first key may be an old one; the client takes the next by itself.
    outcome = client.next_seq(stream_id) if isinstance(outcome, Refused) else outcome
    if isinstance(outcome, Stored):
        return Answer(outcome.next_seq)
    if isinstance(outcome, Trouble):
        return Answer(None, "unreachable", outcome.text)
    return Answer(None, "refused", getattr(outcome, "text", "the server's answer makes no sense"))
