"""Tunery's servers between a provider and receivers that are hostile, and the largest memory of one of the servers."""

import os
import re
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import psutil
from openai import APIError

from benchmarks.hostile_answers.calls import Row, at_once
from benchmarks.stack import Measured, measured_stack
from shared.database import get_engine
from tests.hostile_servers import OK, Talk, answering, page
from tests.servers import talking

MODEL = "gpt-4.1-mini-2025-04-14"
CHAT_SECONDS = 8
DELIVERY_SECONDS = 4
_MODELS = answering(
    OK, page({"id": MODEL, "object": "model", "created": 1, "owned_by": "system"}).replace(b"true", b"false")
)


@dataclass
class HostileStack:
    """`chat` answers the POST requests of the provider, `delivery` those of receivers, which listen at `port`."""

    stack: Measured
    chat: Talk
    delivery: Talk
    port: int


def hostile_stack(measure: Callable[[HostileStack], Iterable[Row]]) -> list[Row]:
    def provider(visitor: socket.socket, over: Event) -> None:
        is_post = visitor.recv(4, socket.MSG_PEEK) == b"POST"
        (hostile.chat if is_post else _MODELS)(visitor, over)

    def receiver(visitor: socket.socket, over: Event) -> None:
        hostile.delivery(visitor, over)

    with talking(at_once(provider)) as providers, talking(at_once(receiver)) as receivers:
        settings = {
            "TUNERY_LOG_LEVEL": "error",
            "TUNERY_PROVIDER__BASE_URL": f"http://127.0.0.1:{providers.port}/v1",
            "TUNERY_PROVIDER__API_KEY": "sk-any",
            "TUNERY_CHAT__TIMEOUT": str(CHAT_SECONDS),
            "TUNERY_WEBHOOK_TIMEOUT": str(DELIVERY_SECONDS),
        }
        with measured_stack(**settings) as stack:
            os.environ.update(stack.environ)
            hostile = HostileStack(stack, _MODELS, _MODELS, receivers.port)
            _wait_for_model(stack)
            rows = list(measure(hostile))
            get_engine().dispose()
            return rows


def _wait_for_model(stack: Measured) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            stack.openai.models.retrieve(MODEL)
            return
        except APIError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


class Peak:
    """The largest RSS of a process since this was made, as Linux counts it."""

    def __init__(self, process: psutil.Process) -> None:
        self._folder = Path("/proc", str(process.pid))
        (self._folder / "clear_refs").write_text("5")

    def mb(self) -> float:
        found = re.search(r"VmHWM:\s+(\d+) kB", (self._folder / "status").read_text())
        assert found
        return int(found[1]) / 1024
