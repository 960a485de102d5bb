"""A worker's health checks, and what it logs when the scheduler stops."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPConnection

import pytest
from structlog.testing import capture_logs

from shared.database import transaction
from shared.db.times import utc_now
from shared.sweeps import LAST, LastSweep
from tests.worker.support import settings
from worker.runtime import gauges, health, scheduler

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def port() -> Iterator[int]:
    server = health.serve("127.0.0.1:0", gauges.Gathered().text)
    assert server is not None
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def ask(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def let_the_beat_stop() -> None:
    """As if its last sweep had been a minute ago."""
    with transaction() as session:
        session.get_one(LastSweep, LAST).swept_at = utc_now() - timedelta(minutes=1)


def test_a_worker_lives_and_is_ready_while_somebody_sweeps(port: int) -> None:
    scheduler.note_sweep()
    assert ask(port, "/livez") == (200, '{"status": "ok"}')
    status, body = ask(port, "/readyz")
    assert (status, json.loads(body)["checks"]) == (200, {"postgres": "ok", "redis": "ok", "sweep": "ok"})
    assert ask(port, "/")[0] == 404


def test_that_nobody_sweeps_is_seen_by_who_asks_whether_it_is_ready(port: int) -> None:
    status, body = ask(port, "/readyz")
    assert (status, json.loads(body)["checks"]["sweep"]) == (503, "none was ever made: start `./tunery beat`")
    scheduler.note_sweep()
    let_the_beat_stop()
    status, body = ask(port, "/readyz")
    assert status == 503
    assert re.fullmatch(r"the last was \d\d s ago: start `\./tunery beat`", json.loads(body)["checks"]["sweep"])


def test_metrics_have_the_age_of_the_last_sweep_and_what_more_the_server_knows(port: int) -> None:
    assert shown(port)["tunery_sweep_age_seconds"] == -1
    scheduler.note_sweep()
    found = shown(port)
    assert 0 <= found["tunery_sweep_age_seconds"] < 30
    assert found['tunery_up{dependency="postgres"}'] == found['tunery_up{dependency="redis"}'] == 1


def shown(port: int) -> dict[str, float]:
    """The metrics by name and labels."""
    status, body = ask(port, "/metrics")
    assert status == 200
    lines = (line.rsplit(" ", 1) for line in body.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def test_without_redis_a_worker_is_not_ready_and_says_why(port: int) -> None:
    scheduler.note_sweep()
    with settings(REDIS_URL="redis://127.0.0.1:1/0"):
        status, body = ask(port, "/readyz")
        assert (status, json.loads(body)["checks"]["redis"]) == (503, "unreachable: ConnectionError")


def test_it_is_logged_once_that_the_scheduler_has_stopped_and_once_that_it_sweeps_again() -> None:
    watch = health.SchedulerWatch()
    scheduler.note_sweep()
    with capture_logs() as said:
        watch.check()
        let_the_beat_stop()
        for _ in range(3):
            watch.check()
        scheduler.note_sweep()
        for _ in range(3):
            watch.check()
    events = [each["event"].partition(":")[0] for each in said]
    assert events == ["the scheduler does not sweep", "the scheduler sweeps again"]
