"""A program that forks a worker for each line it reads and kills it (`kill -9`) at the point that the line names.

`python -m tests.worker.killed_worker` reads `task id point` from its standard input, and answers each line with
`killed` or with how the worker ended instead. A fork has everything imported already, and so costs some milliseconds.
Nothing of ours is replaced, but that Azure's models need deployments if `DEPLOYS` is set: the points are hooks of
SQLAlchemy and of the HTTP client.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import event
from sqlmodel import Session

from shared.database import get_engine
from shared.log import set_up_logging
from shared.projects.models import Credential
from shared.settings import get_settings
from tests.deployed import register
from tests.worker.crashes import DEPLOYS, POINTS
from worker.app import app
from worker.providers.registry import get_provider


class Death:
    """Kills this process when the point is reached."""

    def __init__(self, point: str) -> None:
        self._hook, self._left = POINTS[point]

    def reach(self, hook: str) -> None:
        self._left -= hook == self._hook
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def trace(self, name: str, _: dict[str, Any]) -> None:
        if name == "http11.receive_response_headers.started":
            self.reach("asked")


def _prepare(death: Death) -> None:
    engine = get_engine()
    event.listen(engine, "begin", lambda _: death.reach("begin"))
    event.listen(engine, "commit", lambda _: death.reach("commit"))
    event.listen(Session, "after_commit", lambda _: death.reach("after_commit"))
    send: Callable[..., httpx2.Response] = httpx2.Client.send

    def traced(client: httpx2.Client, request: httpx2.Request, **options: Any) -> httpx2.Response:
        request.extensions = {**request.extensions, "trace": death.trace}
        return send(client, request, **options)

    setattr(httpx2.Client, "send", traced)  # noqa: B010  mypy takes no method for a variable


def _work(task: str, id: str, point: str) -> None:
    """Run the task, then end this process whatever happens."""
    try:
        death = Death(point)
        _prepare(death)
        app.tasks[task](id)
        death.reach("end")
    finally:
        os._exit(1)


def main() -> None:
    set_up_logging()
    if os.environ.get(DEPLOYS):
        register(pytest.MonkeyPatch())
    settings = get_settings().provider
    get_provider(Credential(provider=settings.name, base_url=settings.base_url))  # takes longer to make than a step
    for line in sys.stdin:
        task, id, point = line.rstrip("\n").split(" ", 2)
        child = os.fork()
        if child == 0:
            _work(task, id, point)
        _, status = os.waitpid(child, 0)
        sys.stdout.write("killed\n" if os.WIFSIGNALED(status) else f"ended with {status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
