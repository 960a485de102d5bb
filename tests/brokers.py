"""Other Redis servers than the one that all tests share: private, silent, or not running."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import pytest
from sqlalchemy import make_url

from shared.broker import queue
from shared.broker.queue import circuit_breaker, get_celery
from shared.settings import get_settings
from tests.servers import until
from tests.worker.support import settings

OWN_TIMEOUT_SECONDS = queue.REDIS_TIMEOUT_SECONDS


@contextmanager
def broker_at(url: str) -> Iterator[None]:
    with settings(REDIS_URL=url), pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "REDIS_TIMEOUT_SECONDS", OWN_TIMEOUT_SECONDS)
        forget_the_broker()
        yield
        get_celery().close()
    forget_the_broker()
    until_it_answers()


def forget_the_broker() -> None:
    get_celery.cache_clear()
    queue._counts.clear()
    queue._last_answer_at = -queue.CONFIRM_AFTER_SECONDS


def until_it_answers() -> None:
    """Wait until this process uses Redis again: an open circuit breaker probes it once a second."""
    until(lambda: not circuit_breaker.is_open)


@dataclass
class DeafRedis:
    """Accepts connections and never answers; counts those that wait."""

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


def hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@dataclass
class Company:
    """A proxy that delays each request a moment, to see how many are sent at the same time."""

    meet: threading.Condition = field(default_factory=threading.Condition)
    asking: int = 0
    most: int = 0

    def pass_on(self, source: socket.socket, sink: socket.socket, *, is_question: bool) -> None:
        with source, suppress(OSError):
            while some := source.recv(1 << 16):
                if is_question:
                    self._wait()
                sink.sendall(some)
        hang_up(sink)

    def _wait(self) -> None:
        with self.meet:
            self.asking += 1
            self.most = max(self.most, self.asking)
            self.meet.notify_all()
            self.meet.wait_for(lambda: self.most > 1, timeout=0.1)
            self.asking -= 1


@contextmanager
def broker_in_company() -> Iterator[Company]:
    """Use the shared broker through a proxy that sees how many requests it gets at the same time."""
    real = make_url(get_settings().redis_url)
    company = Company()
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener, ThreadPoolExecutor(100) as threads:

        def take() -> None:
            with ExitStack() as taken, suppress(OSError):  # raised when nobody listens any more
                while True:
                    near, far = listener.accept()[0], socket.create_connection((str(real.host), real.port or 6379))
                    taken.callback(hang_up, near)
                    threads.submit(company.pass_on, near, far, is_question=True)
                    threads.submit(company.pass_on, far, near, is_question=False)

        taking = threading.Thread(target=take, daemon=True)
        taking.start()
        near = real.set(host="127.0.0.1", port=listener.getsockname()[1])
        with broker_at(near.render_as_string(hide_password=False)):
            yield company
        listener.shutdown(socket.SHUT_RDWR)
        taking.join()
