"""Each line that a server writes in JSON mode, from its start to its end, is a JSON object, whatever happens to it."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.local import commands
from shared.settings import get_settings
from tests.world import Person, variables_of_this_test

PATIENCE = 100.0
NOT_MIGRATED = "the database has not the schema of this version: run `./tunery migrate`"
ENDED_WELL = (0, -signal.SIGTERM)


class Server:
    """A server as a process; its stdout and stderr are one log."""

    def __init__(self, command: list[str], log: Path, **environ: str) -> None:
        self.log = log
        given = {**os.environ, **variables_of_this_test(), "TUNERY_LOG_LEVEL": "info", "TUNERY_LOG_FORMAT": "json"}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=given | environ, cwd=commands.ROOT, stdout=output, stderr=output, start_new_session=True
            )

    def lines(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines()]

    def errors(self) -> list[dict[str, str]]:
        """Lines of the levels error and critical, but for those about the scheduler, which does not run here."""
        bad = [line for line in self.lines() if line["level"] in {"error", "critical"}]
        return [line for line in bad if line.get("logger") != "worker.runtime.health"]

    def wait_for(self, text: str) -> None:
        self.until(lambda: text in self.log.read_text())

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)


@pytest.fixture
def start(clean: str, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(command: list[str], **environ: str) -> Server:
        servers.append(Server(command, tmp_path / f"{len(servers)}.log", **environ))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()


@pytest.mark.parametrize(
    ("command", "ready"),
    [
        (commands.api("127.0.0.1", 0), "Uvicorn running"),
        (commands.worker(2), " ready."),
        (commands.sender(2), " ready."),
        (commands.beat(), "the scheduler has started"),
    ],
    ids=["api", "worker", "sender", "beat"],
)
def test_every_line_of_a_life_is_json(start: Callable[..., Server], command: list[str], ready: str) -> None:
    server = start(command)
    server.wait_for(ready)
    assert server.stop() in ENDED_WELL
    assert server.errors() == []


def test_every_line_of_several_api_processes_is_json_also_when_one_dies(start: Callable[..., Server]) -> None:
    server = start(commands.api("127.0.0.1", 0), WEB_CONCURRENCY="2")
    server.until(lambda: server.log.read_text().count("Application startup complete") == 2)
    child = next(line["event"] for line in server.lines() if line["event"].startswith("Started server process"))
    os.kill(int(child.split("[")[1].rstrip("]")), signal.SIGKILL)
    server.until(lambda: server.log.read_text().count("Application startup complete") == 3)
    assert server.stop() in ENDED_WELL
    assert server.lines()


def test_a_health_port_that_is_taken_ends_the_worker_with_one_line(start: Callable[..., Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        server = start(commands.sender(1), TUNERY_HEALTH_ADDRESS=address)
        assert server.process.wait(PATIENCE) == 1
    [told] = [line["event"] for line in server.lines() if line["level"] == "critical"]
    assert told == f"TUNERY_HEALTH_ADDRESS: nobody can listen at {address}: Address already in use."
    assert "Traceback" not in server.log.read_text()


def test_a_lost_key_ends_the_api_with_one_line(start: Callable[..., Server], alice: Person) -> None:
    alice.openai.webhooks.create(name="x", url="https://example.com/x", event_types=["fine_tuning.job.succeeded"])
    other = '["Zm9yIHRoZSB0ZXN0cyBhbG9uZSwgMzIgYnl0ZXMhISE="]'
    for command in (commands.api("127.0.0.1", 0), commands.worker(1), commands.beat()):
        server = start(command, TUNERY_SECRET_KEYS=other)
        assert server.process.wait(PATIENCE) == 1
        [told] = [line["event"] for line in server.lines() if line["level"] == "critical"]
        assert told.startswith("TUNERY_SECRET_KEYS lacks the key ")


def test_before_the_migration_the_beat_says_so_once_and_goes_on_after_it(
    start: Callable[..., Server], empty_database: str
) -> None:
    server = start(commands.beat(), DATABASE_URL=empty_database, TUNERY_SWEEP_EVERY="0.05")
    server.wait_for(NOT_MIGRATED)
    migrate = start([commands.PYTHON, "-m", "cli", "migrate"], DATABASE_URL=empty_database)
    assert migrate.process.wait(PATIENCE) == 0
    server.wait_for("the sweep succeeds again")
    assert server.stop() in ENDED_WELL
    assert [event for event in server.events() if not event.startswith("the sweep gave way")] == [
        "the scheduler has started",
        f"{NOT_MIGRATED}; the sweep is repeated",
        "the sweep succeeds again",
        "the scheduler has stopped",
    ]


def test_before_the_migration_the_api_and_the_worker_start_and_say_no_traceback(
    start: Callable[..., Server], empty_database: str
) -> None:
    api = start(commands.api("127.0.0.1", 0), DATABASE_URL=empty_database)
    broker = re.sub(r"/\d*$", "/8", get_settings().redis_url)  # without messages of other tests
    worker = start(commands.worker(1), DATABASE_URL=empty_database, REDIS_URL=broker)
    api.wait_for("Uvicorn running")
    worker.wait_for(" ready.")
    assert (api.stop() in ENDED_WELL, worker.stop() in ENDED_WELL) == (True, True)
    for server in (api, worker):
        assert server.errors() == []
