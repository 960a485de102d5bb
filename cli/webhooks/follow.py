"""Follows a project's events over server-sent events, also when the server goes away and comes back."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
from openai import OpenAI

from cli.api_client import plainly, refusal, unreachable
from cli.failure import Failure

SILENCE = httpx2.Timeout(10, read=45)  # the server says every 15 s that it is there
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 15.0
BROKEN = "it has closed the connection"
READY = "Ready. Ctrl-C stops it."
LATEST = 100  # as many as one page holds
Tell = Callable[[str], None]


class NotNow(Exception):
    """The server cannot answer, for now."""


class Following:
    """The events of a project from now on, each once.

    The server repeats the last seconds to who comes back, so the ids of all that was seen are kept. `tell` gets a
    sentence when the stream begins, when the server goes away, and when it is back.
    """

    def __init__(self, client: OpenAI, tell: Tell = lambda _: None) -> None:
        self._client = client
        self._address = f"{str(client.base_url).rstrip('/')}/webhook_events"
        self._http = httpx2.Client(timeout=SILENCE, headers={"authorization": f"Bearer {client.api_key}"})
        self._tell = tell
        self._seen: set[str] = set()
        self._last: str | None = None
        self._is_ready = False
        self._is_away = False
        self._pauses = 0

    def events(self) -> Iterator[dict[str, Any]]:
        """Without end, as the API gives them.

        Raises `Failure` if the server cannot be reached at the start, or whenever it refuses the key.
        """
        with self._http:
            while True:
                try:
                    self._begin()
                    yield from self._connection()
                    self._pause(BROKEN)
                except (httpx2.RemoteProtocolError, httpx2.ReadError):
                    self._pause(BROKEN)
                except (httpx2.TransportError, NotNow) as error:
                    self._pause(plainly(error))

    def _begin(self) -> None:
        """After the newest event there is; at a return to where there was none, with the oldest that came since."""
        if self._last is None:
            ids = self._latest()
            if not self._is_ready:
                self._seen.update(ids)
            self._last = next(reversed(ids) if self._is_ready else iter(ids), None)

    def _latest(self) -> list[str]:
        answer = self._http.get(self._address, params={"limit": LATEST})
        self._check(answer)
        try:
            return [event["id"] for event in answer.json()["data"]]
        except (ValueError, TypeError, KeyError):
            raise Failure(f"What {self._address} answers is no list of events: is it Tunery's /v1 address?") from None

    def _connection(self) -> Iterator[dict[str, Any]]:
        headers = {"last-event-id": self._last} if self._last else {}
        with self._http.sse(self._address, headers=headers) as source:
            if source.response.status_code == 404:  # it is too old, or the server has another database now
                self._last = None
                raise NotNow("it does not know the last event any more")
            self._check(source.response)
            self._is_there()
            for message in source:
                event: Any = message.json()
                if message.id not in self._seen:
                    self._seen.add(message.id)
                    yield event
                self._last = message.id

    def _check(self, answer: httpx2.Response) -> None:
        if answer.status_code >= 500 or answer.status_code == 429:
            raise NotNow(f"HTTP {answer.status_code}")
        if answer.status_code != 200:
            raise refusal(self._client, answer.status_code, _error_in(answer))

    def _is_there(self) -> None:
        if not self._is_ready or self._is_away:
            self._tell("The server is back." if self._is_ready else READY)
        self._is_ready, self._is_away, self._pauses = True, False, 0

    def _pause(self, why: str) -> None:
        """With jitter, so that those who were cut off together do not come back together."""
        if not self._is_ready:
            raise unreachable(self._client, why) from None
        if not self._is_away:
            self._tell(f"The server is away ({why}). Waiting for it …")
        self._is_away = True
        time.sleep(min(FIRST_PAUSE * 2 ** min(self._pauses, 10), LONGEST_PAUSE) * random.uniform(0.5, 1.5))
        self._pauses += 1


def _error_in(answer: httpx2.Response) -> Any:
    try:
        return answer.read() and answer.json().get("error")
    except (ValueError, AttributeError):
        return None
