"""Other doorbells than the one of all tests: of nobody else, deaf, or away."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from shared import queue
from shared.queue import get_celery, silence
from tests.worker.levers import settings


@contextmanager
def broker_at(url: str) -> Iterator[None]:
    with settings(REDIS_URL=url):
        get_celery.cache_clear()
        queue._counted.clear()
        yield
        get_celery().close()
    get_celery.cache_clear()
    queue._counted.clear()
    until_it_answers()


def until_it_answers() -> None:
    """Until this process rings again: one that was told of a silence asks once a second whether it is over."""
    deadline = time.monotonic() + 10
    while silence.lasts:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@dataclass
class DeafRedis:
    """Takes connections and never says a word; each of them is somebody who waits."""

    listener: socket.socket
    waits: int = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"

    def take(self) -> None:
        with ExitStack() as taken, suppress(OSError):  # raised when nobody listens any more
            while True:
                taken.enter_context(self.listener.accept()[0])
                self.waits += 1


@contextmanager
def deaf_redis() -> Iterator[DeafRedis]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        deaf = DeafRedis(listener)
        thread = threading.Thread(target=deaf.take, daemon=True)
        thread.start()
        yield deaf
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
