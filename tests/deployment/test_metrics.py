"""The metrics of servers that consist of several processes: added up, and not lost when one is killed."""

import os
import signal
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from cli.local import commands
from cli.processes import ports
from shared.broker.queue import Task, enqueue
from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import Job
from tests.api.administration import Operator
from tests.deployment.test_json_logs import Server, start
from tests.servers import until, wait_for_port
from tests.world import Person

__all__ = ["start"]  # a fixture
Start = Callable[..., Server]


def shown(port: int, name: str, key: str = "", **labels: str) -> float:
    """The sum of the samples with this name and these labels."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics", headers={"authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status == 200, body
    samples = [each for family in text_string_to_metric_families(body) for each in family.samples]
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


def folders(temporary: Path) -> list[Path]:
    """Those of shared values, in a server's folder for temporary files."""
    return list(temporary.glob("tunery-metrics-*"))


def run_step(job_id: str) -> None:
    with transaction() as session:
        session.get_one(Job, job_id).due_at = utc_now()
    enqueue(Task.ADVANCE_JOB, job_id)


def children_of(server: Server) -> set[psutil.Process]:
    return set(psutil.Process(server.process.pid).children())


def kill_children(server: Server) -> None:
    """Returns when others have taken their places."""
    killed = children_of(server)
    for child in killed:
        child.kill()
    until(lambda: len(children_of(server) - killed) == len(killed))


def test_a_worker_adds_up_what_its_processes_count_and_keeps_it_when_they_are_killed(
    start: Start, alice: Person, tmp_path: Path, held_port: int
) -> None:
    port, job_id = held_port, alice.create_job()
    server = start(commands.worker(2), TUNERY_HEALTH_ADDRESS=f"127.0.0.1:{port}", TMPDIR=str(tmp_path))
    server.wait_for(" ready.")

    def steps(more_than: float) -> bool:
        return shown(port, "tunery_step_seconds_count", table="jobs") > more_than

    until(partial(steps, 0))
    [folder] = folders(tmp_path)
    for _ in range(3):
        before = shown(port, "tunery_step_seconds_count", table="jobs")
        kill_children(server)
        assert steps(before - 1)
        run_step(job_id)
        until(partial(steps, before))
        assert {file.stem.rpartition("_")[2] for file in folder.iterdir()} == {"main", "child0", "child1"}
    assert shown(port, "tunery_info", process="worker") == 1
    assert shown(port, "tunery_wait_seconds_count", task=Task.ADVANCE_JOB) >= 1
    server.stop()
    assert folders(tmp_path) == []


def test_a_sender_and_a_beat_show_what_they_are(start: Start) -> None:
    with ports.held() as of_sender, ports.held() as of_beat:
        for port, command, process in ((of_sender, commands.sender(2), "sender"), (of_beat, commands.beat(), "beat")):
            start(command, TUNERY_HEALTH_ADDRESS=f"127.0.0.1:{port}")
            wait_for_port(port)
            assert shown(port, "tunery_info", process=process) == 1
        until(lambda: shown(of_beat, "tunery_sweep_seconds_count", outcome="done") > 1)


def test_any_process_of_an_api_answers_for_all_also_for_one_that_was_killed(
    start: Start, alice: Person, operator: Operator, held_port: int
) -> None:
    port, key = held_port, str(operator.openai.admin_api_key)
    server = start(commands.api("127.0.0.1", port), WEB_CONCURRENCY="2")
    server.until(lambda: server.log.read_text().count("Application startup complete") == 2)

    def ask() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/v1/fine_tuning/jobs", headers={"authorization": f"Bearer {alice.api_key}"})
        assert connection.getresponse().status == 200
        connection.close()

    def asked() -> float:
        return shown(port, "tunery_requests_total", key, route="/v1/fine_tuning/jobs", status="200")

    def is_counted(number: int) -> bool:
        return asked() >= number

    for number in range(20):
        ask()
        until(partial(is_counted, number + 1))  # a process counts a request after it has sent the answer
        assert asked() == number + 1
    child = next(line["event"] for line in server.lines() if line["event"].startswith("Started server process"))
    os.kill(int(child.split("[")[1].rstrip("]")), signal.SIGKILL)
    server.until(lambda: server.log.read_text().count("Application startup complete") == 3)
    assert asked() == 20
    assert shown(port, "tunery_info", key, process="api") == 1


def test_what_a_killed_server_left_is_removed_by_the_next_one(start: Start, tmp_path: Path) -> None:
    killed = start(commands.worker(2), TMPDIR=str(tmp_path))
    killed.wait_for(" ready.")
    [left] = folders(tmp_path)
    os.killpg(killed.process.pid, signal.SIGKILL)
    killed.process.wait()
    server = start(commands.worker(2), TMPDIR=str(tmp_path))
    server.wait_for(" ready.")
    [there] = folders(tmp_path)
    assert there != left
