"""Clients that never retry: they count the answers that nobody should see, and keep which events have arrived."""

import http.client
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from openai import OpenAIError

from benchmarks.chaos.__main__ import Listener, Team
from benchmarks.stack import Measured, lines
from cli.processes.ports import LOCALHOST

BOUNDARY = "restarts"
FORM = (
    (
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--{BOUNDARY}\r\n'
        'content-disposition: form-data; name="file"; filename="train.jsonl"\r\n\r\n'
    ).encode()
    + lines(12)
    + f"\r\n--{BOUNDARY}--\r\n".encode()
)
WORK = [  # method, path, body, seconds between two
    ("GET", "/v1/files?limit=20", None, 0.05),
    ("GET", "/v1/fine_tuning/jobs", None, 0.05),
    ("POST", "/v1/files", FORM, 0.5),
]


class Client:
    """Sends one request after the other."""

    def __init__(self, stack: Measured) -> None:
        self.key = stack.api_key
        self.port = urlsplit(stack.base_url).port or 0
        self.answers = 0
        self.failed: Counter[str] = Counter()

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(LOCALHOST, self.port, timeout=300)

    def go_on(self, over: threading.Event, method: str, path: str, body: bytes | None, pause: float) -> None:
        headers = {"authorization": f"Bearer {self.key}"}
        if body:
            headers["content-type"] = f"multipart/form-data; boundary={BOUNDARY}"
        connection = self.connection()
        while not over.wait(pause):
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                if answer.status >= 400:
                    self.failed[f"{answer.status} {content.decode()[:80]}"] += 1
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.failed[f"{method}: {type(error).__name__}"] += 1
            self.answers += 1


class Follower(Client):
    """Follows the webhook events of a project; when a stream has ended, goes on in another one after the last event."""

    def __init__(self, stack: Measured, key: str) -> None:
        super().__init__(stack)
        self.key = key
        self.seen: set[str] = set()
        self.is_following = threading.Event()
        self._last = ""

    def follow(self, over: threading.Event) -> None:
        while not over.is_set():
            connection = self.connection()
            try:
                self._read(connection, over)
            except (OSError, http.client.HTTPException) as error:
                self.failed[f"stream: {type(error).__name__}"] += 1
            connection.close()
            self.answers += 1

    def _read(self, connection: http.client.HTTPConnection, over: threading.Event) -> None:
        headers = {"authorization": f"Bearer {self.key}", "accept": "text/event-stream"}
        if self._last:
            headers["last-event-id"] = self._last
        connection.request("GET", "/v1/webhook_events", headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            self.failed[f"stream: {answer.status}"] += 1
        rest = b""
        while not over.is_set() and (read := answer.read1(1 << 16)):
            self.is_following.set()
            *whole, rest = (rest + read).split(b"\n")
            for line in whole:
                if line.startswith(b"id: "):
                    self._last = line[4:].decode()
                    self.seen.add(self._last)


class CountingListener(Listener):
    """Counts how often each delivery has arrived, too."""

    def __init__(self) -> None:
        self.arrivals: Counter[str] = Counter()
        super().__init__()

    def take(self, body: str, headers: dict[str, str]) -> int:
        status = super().take(body, headers)
        if status < 300:
            self.arrivals[headers["webhook-id"]] += 1
        return status


class SteadyTeam(Team):
    """Creates its jobs at the pace of the restarts, and without retries."""

    def __init__(self, stack: Measured, name: str, listener: CountingListener, progress: Callable[[], float]) -> None:
        super().__init__(stack, name, listener)
        self.failed: Counter[str] = Counter()
        self._progress = progress

    def work(self, count: int) -> None:
        self.openai = self.openai.with_options(max_retries=0)
        for number in range(count):
            while self._progress() < number / count:
                time.sleep(0.1)
            try:
                self.create(number)
            except OpenAIError as error:
                self.failed[f"job: {error}"[:80]] += 1


def troubles(log: Path) -> Counter[str]:
    """How often each warning and each error is in a server's log."""
    lines_of_trouble = re.findall(r"\[((?:warning|error|critical) *\] [^\[]*)", log.read_text(errors="replace"))
    return Counter(line.strip()[:120] for line in lines_of_trouble)
