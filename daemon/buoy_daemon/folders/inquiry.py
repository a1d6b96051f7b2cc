"""Asks servers how much they have of a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from buoy_daemon.credentials import Credentials
from buoy_daemon.uploader.client import Client
from buoy_daemon.uploader.plan import Refused, Stored, Trouble


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
