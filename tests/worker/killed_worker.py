"""A program that forks a worker for each line it reads and kills it (`kill -9`) at the point that the line names.

`python -m tests.worker.killed_worker` reads `task id project point` from its standard input, and answers each line with
`killed` or with how the worker ended instead. A fork has everything imported already, and so costs some milliseconds.
Nothing of ours is replaced, but that Azure's models need deployments if `DEPLOYS` is set: the points are hooks of
SQLAlchemy and of the HTTP client, and around the transactions of a usual delivery, which go past SQLAlchemy.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import httpx2
import pytest
from psycopg import Connection
from sqlalchemy import event
from sqlmodel import Session

from shared.database import driver_pipeline, driver_transaction, get_engine
from shared.log import set_up_logging
from shared.projects.models import Credential
from shared.settings import get_settings
from tests.deployed import register
from tests.worker.crashes import DEPLOYS, POINTS
from worker.app import app
from worker.providers.registry import get_provider
from worker.webhooks import usual

Short = Callable[[str], AbstractContextManager[Connection[Any]]]


class Death:
    """Kills this process when the point is reached."""

    def __init__(self, point: str) -> None:
        self._hook, self._left = POINTS[point]

    def reach(self, hook: str) -> None:
        self._left -= hook == self._hook
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def forget(self, hook: str) -> None:
        self._left += hook == self._hook

    def trace(self, name: str, _: dict[str, Any]) -> None:
        if name == "http11.receive_response_headers.started":
            self.reach("asked")


def _prepare(death: Death) -> None:
    engine = get_engine()
    event.listen(engine, "begin", lambda _: death.reach("begin"))
    event.listen(engine, "commit", lambda _: death.reach("commit"))
    event.listen(Session, "after_commit", lambda _: death.reach("after_commit"))
    for short in (driver_transaction, driver_pipeline):
        setattr(usual, short.__name__, partial(_short, death, short))
    send: Callable[..., httpx2.Response] = httpx2.Client.send

    def traced(client: httpx2.Client, request: httpx2.Request, **options: Any) -> httpx2.Response:
        request.extensions = {**request.extensions, "trace": death.trace}
        return send(client, request, **options)

    setattr(httpx2.Client, "send", traced)  # noqa: B010  mypy takes no method for a variable


@contextmanager
def _short(death: Death, short: Short, project_id: str) -> Iterator[Connection[Any]]:
    death.reach("begin")
    try:
        with short(project_id) as connection:
            yield connection
            death.reach("commit")
    except usual.Unusual:
        death.forget("begin")  # a step follows, which begins anew
        raise
    death.reach("after_commit")


def _work(name: str, id: str, project_id: str, point: str) -> None:
    """Run the task as for a message, then end this process whatever happens."""
    try:
        death = Death(point)
        _prepare(death)
        task = app.tasks[name]
        task.push_request(project_id=project_id)
        task.run(id)
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
        message = line.rstrip("\n").split(" ", 3)
        child = os.fork()
        if child == 0:
            _work(*message)
        _, status = os.waitpid(child, 0)
        sys.stdout.write("killed\n" if os.WIFSIGNALED(status) else f"ended with {status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
