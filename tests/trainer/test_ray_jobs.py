"""Jobs on a real Ray on this machine: they wait for its slots, pause, end, and outlive the server and Ray's head."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.trainer.jobs import lines
from tests.trainer.ray_cluster import PATIENCE, RayHead
from tests.trainer.trainer_process import Trainer

pytestmark = pytest.mark.timeout(1800)

LONG = {"examples": 72, "epochs": 50}
STEPS = 900
"""A quick machine needs 10 seconds for them, and what is done to such a job comes in its first."""


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with RayHead() as head:
        yield head


def test_jobs_wait_for_slots_and_are_paused_resumed_and_cancelled(head: RayHead, tmp_path: Path) -> None:
    with Trainer(tmp_path, **head.settings() | {"ray_slots": 3}) as trainer:
        paused, cancelled = (trainer.job(examples=60, epochs=50) for _ in range(2))
        for job in (paused, cancelled):
            trainer.wait_for_step(job, 3)
        waiting = trainer.job(epochs=50)  # both slots are held
        until(lambda: head.jobs().get(f"{waiting.id}-1") == "PENDING")
        assert trainer.lenient.fine_tuning.jobs.retrieve(waiting.id).status == "queued"
        trainer.lenient.fine_tuning.jobs.cancel(waiting.id)
        trainer.lenient.fine_tuning.jobs.pause(paused.id)
        until(lambda: head.jobs()[f"{paused.id}-1"] == "FAILED")  # its exit code is 75
        assert str(trainer.lenient.fine_tuning.jobs.retrieve(paused.id).status) == "paused"
        trainer.lenient.fine_tuning.jobs.cancel(cancelled.id)
        until(lambda: head.jobs()[f"{cancelled.id}-1"] == "SUCCEEDED")
        until(lambda: head.jobs()[f"{waiting.id}-1"] != "PENDING")
        assert {line["event"] for line in lines(trainer.job_folder(waiting))} <= {"cancelled"}
        short = trainer.wait_for_end(trainer.job(epochs=1))
        assert short.status == "succeeded", trainer.messages(short)
        steps = len(trainer.losses(paused))
        trainer.lenient.fine_tuning.jobs.resume(paused.id)
        trainer.wait_for_step(paused, steps + 2)
        assert any("goes on from step" in message for message in trainer.messages(paused))
        trainer.lenient.fine_tuning.jobs.cancel(paused.id)
        until(lambda: head.jobs()[f"{paused.id}-2"] == "SUCCEEDED")


def test_jobs_go_on_while_their_server_is_dead_and_are_found_again(head: RayHead, tmp_path: Path) -> None:
    with Trainer(tmp_path, **head.settings()) as trainer:
        killed, stopped = trainer.job(**LONG), trainer.job(**LONG)
        for number, job in ((signal.SIGKILL, killed), (signal.SIGTERM, stopped)):
            trainer.wait_for_step(job, 3)
            trainer.stop(number)
            told = len(lines(trainer.job_folder(job)))
            until(lambda job=job, told=told: len(lines(trainer.job_folder(job))) > told)  # type: ignore[misc]
            trainer.start()
        for job in (killed, stopped):
            ended = trainer.wait_for_end(job)
            assert ended.status == "succeeded", trainer.messages(job)
            assert list(trainer.losses(job)) == list(range(1, STEPS + 1))
            assert [id for id in head.jobs() if id.startswith(job.id)] == [f"{job.id}-1"]


def test_a_job_that_cannot_be_started_there_fails_with_what_rays_log_says(head: RayHead, tmp_path: Path) -> None:
    with Trainer(tmp_path, **head.settings(), ray_python="/nowhere/python") as trainer:
        job = trainer.wait_for_end(trainer.job())
        assert job.error
        assert job.error.code == "training_failed"
        assert "/nowhere/python" in str(job.error.message)
        assert "code 127" in str(job.error.message)


def test_after_a_restart_of_the_head_jobs_go_on_from_their_checkpoints(head: RayHead, tmp_path: Path) -> None:
    """The last one here: the other head knows nothing of the jobs before."""
    with Trainer(tmp_path, **head.settings()) as trainer:
        job = trainer.job(**LONG)
        trainer.wait_for_step(job, 5)
        head.kill()
        trainer.wait(job, lambda job: any("cannot be reached since" in message for message in trainer.messages(job)))
        head.start()
        ended = trainer.wait_for_end(job)
        messages = trainer.messages(job)
        assert ended.status == "succeeded", messages
        assert list(trainer.losses(job)) == list(range(1, STEPS + 1))
        assert sum("cannot be reached since" in message for message in messages) == 1
        assert sum("is started again" in message for message in messages) == 1
        assert list(head.jobs()) == [f"{job.id}-2"]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
