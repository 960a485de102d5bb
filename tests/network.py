"""A stand-in for name servers and sockets: it connects to nothing and records which addresses would be connected to."""

import socket
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any, NoReturn

import pytest
from httpcore2 import AsyncNetworkBackend, ConnectError, ConnectTimeout, NetworkBackend

Lookup = Callable[[str], list[str]]


class RecordingBackend(NetworkBackend):
    """Records each address and port, and fails as `failures` say, in turn; then as a refused connection does."""

    def __init__(self, *failures: OSError) -> None:
        self.connected: list[tuple[str, int]] = []
        self.failures = list(failures)

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any) -> NoReturn:
        self.connected.append((host, port))
        failure = self.failures.pop(0) if self.failures else ConnectionRefusedError(111, "Connection refused")
        raise (ConnectTimeout if isinstance(failure, TimeoutError) else ConnectError) from failure

    @property
    def addresses(self) -> list[str]:
        return [address for address, _ in self.connected]


class AsyncRecordingBackend(AsyncNetworkBackend):
    """What `RecordingBackend` is, for asyncio."""

    def __init__(self, *failures: OSError) -> None:
        self._recorder = RecordingBackend(*failures)

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any) -> NoReturn:
        self._recorder.connect_tcp(host, port)

    @property
    def addresses(self) -> list[str]:
        return self._recorder.addresses


def resolving_to(*answers: list[str]) -> Lookup:
    """A name server whose answer changes from one lookup to the next."""
    left = list(answers)
    return lambda name: left.pop(0)


def numbers_only(name: str) -> list[str]:
    """Resolves what the C library reads as a number, `0x7f.1` for instance, and no name."""
    answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(answer[4][0]) for answer in answers]


@pytest.fixture
def hanging() -> Iterator[Lookup]:
    """A lookup that ends when the test does."""
    over = Event()
    yield lambda name: ["8.8.8.8"] if over.wait(60) else []
    over.set()
