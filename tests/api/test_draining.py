"""An api that is told to stop says so at /readyz, and goes on until proxies have taken it out."""

import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest

from cli.local import commands
from cli.processes import ports
from cli.processes.child import Child, Program
from tests.api.test_health import ask
from tests.api.test_webhook_events import following
from tests.worker.support import write_event
from tests.world import Person, variables_of_this_test

pytestmark = pytest.mark.timeout(400)  # more than PATIENCE, several times
PATIENCE = 100
FOR_EVER = "100000"  # seconds; a test that waits for them fails
ENDED_WELL = (0, -signal.SIGTERM)  # uvicorn raises the signal again, after all else


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[Child, int]]]:
    children: list[Child] = []

    def start(**variables: str) -> tuple[Child, int]:
        environ = {**os.environ, **variables_of_this_test(), **variables}
        with ports.held() as port:
            command = commands.api(ports.LOCALHOST, port, grace=10 * PATIENCE)
            children.append(Program("api", command, tmp_path / "api.log", environ, commands.ROOT).start())
            children[-1].wait_until(partial(ports.is_listening, port), PATIENCE)
        return children[-1], port

    yield start
    for child in children:
        child.kill()


@contextmanager
def kept(port: int) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(ports.LOCALHOST, port, timeout=PATIENCE)
    connection.request("GET", "/livez")
    connection.getresponse().read()
    yield connection
    connection.close()


def is_refused(port: int) -> bool:
    """Whether a proxy learns at once that nobody listens; a connection that nobody takes would keep it waiting."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((ports.LOCALHOST, port)) == errno.ECONNREFUSED


def test_an_api_that_is_told_to_stop_is_not_ready_and_serves_on_until_its_time_is_over(
    start: Callable[..., tuple[Child, int]], alice: Person
) -> None:
    child, port = start(TUNERY_DRAIN_TIME=FOR_EVER)
    address = f"http://{ports.LOCALHOST}:{port}"
    assert ask(address, "/readyz").status == 200
    with kept(port) as connection, following(alice, f"{address}/v1") as stream:
        child.ask_to_stop()
        child.wait_until(lambda: ask(address, "/readyz").status == 503, PATIENCE)
        assert ask(address, "/readyz").json == {"status": "stopping"}
        child.ask_to_stop()  # once more, as a service manager and a parent process may
        answer = ask(address, "/v1/files", authorization=f"Bearer {alice.api_key}")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        connection.request("GET", "/livez")
        assert connection.getresponse().headers["connection"] == "close"
        event = write_event(alice)
        assert stream.ids(1) == [event]
        child.process.send_signal(signal.SIGINT)
        assert stream.block() == []  # it ends as a whole, so that its client goes on elsewhere
    child.process.wait(PATIENCE)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_api_ends_by_itself_when_its_time_is_over(
    start: Callable[..., tuple[Child, int]], server: str, processes: str
) -> None:
    child, _ = start(TUNERY_DRAIN_TIME="0.1", WEB_CONCURRENCY=processes)
    child.ask_to_stop()
    assert child.process.wait(PATIENCE) in ENDED_WELL


def test_an_api_of_two_processes_leaves_its_port_while_it_still_answers(
    start: Callable[..., tuple[Child, int]], alice: Person
) -> None:
    child, port = start(WEB_CONCURRENCY="2", TUNERY_BODY_TIMEOUT=FOR_EVER)
    with kept(port) as connection:
        connection.putrequest("POST", "/v1/fine_tuning/jobs")
        connection.putheader("authorization", f"Bearer {alice.api_key}")
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", "2")
        connection.endheaders(b"{")
        child.ask_to_stop()
        child.wait_until(lambda: is_refused(port), PATIENCE)
        connection.send(b"}")
        assert connection.getresponse().status == 400
    assert child.process.wait(PATIENCE) in ENDED_WELL
