"""Kills and restarts: every job ends, each step is told once, and the losses are those of an undisturbed run."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import until
from tests.trainer.trainer_process import Trainer


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[Trainer]:
    with Trainer(tmp_path) as trainer:
        yield trainer


@pytest.mark.timeout(900)
def test_kills_of_the_job_and_of_the_trainer_change_no_loss(trainer: Trainer) -> None:
    undisturbed = trainer.wait_for_end(trainer.job(epochs=3))
    job = trainer.job(epochs=3)
    trainer.wait_for_step(job, 5)
    trainer.kill_process_of(job)
    trainer.wait_for_step(job, 9)
    trainer.stop(signal.SIGKILL)
    trainer.start()
    job = trainer.wait_for_end(job)
    assert job.status == "succeeded", trainer.messages(job)
    losses, expected = trainer.losses(job), trainer.losses(undisturbed)
    assert list(losses) == list(range(1, 19))
    assert losses == pytest.approx(expected, abs=1e-6)


@pytest.mark.timeout(900)
def test_a_restart_lets_running_and_waiting_jobs_go_on(trainer: Trainer) -> None:
    jobs = [trainer.job(examples=12, epochs=8), *(trainer.job(examples=10, epochs=1) for _ in range(3))]
    trainer.wait_for_step(jobs[0], 3)
    code, said = trainer.stop(signal.SIGTERM)
    assert (code, "Traceback" in said) == (0, False), said
    trainer.start()
    ended = [trainer.wait_for_end(job) for job in jobs]
    assert [job.status for job in ended] == ["succeeded"] * 4
    assert list(trainer.losses(jobs[0])) == list(range(1, 25))


@pytest.mark.timeout(900)
def test_a_folder_that_was_moved_keeps_its_files_models_and_jobs(tmp_path: Path) -> None:
    with Trainer(tmp_path / "before") as trainer:
        ended = trainer.wait_for_end(trainer.job(epochs=1))
        job = trainer.job(epochs=6)
        trainer.wait_for_step(job, 5)
        trainer.stop(signal.SIGTERM)
        trainer.folder = trainer.folder.rename(tmp_path / "after")
        trainer.start()
        assert trainer.openai.files.content(ended.result_files[1]).read()
        further = trainer.job(model=ended.fine_tuned_model, epochs=1)
        assert trainer.wait_for_end(job).status == "succeeded", trainer.messages(job)
        assert trainer.wait_for_end(further).status == "succeeded", trainer.messages(further)


@pytest.mark.timeout(600)
def test_a_process_that_always_ends_without_a_word_fails_the_job(trainer: Trainer) -> None:
    job = trainer.job(epochs=50)
    for _ in range(3):
        trainer.wait(job, lambda job: job.status == "running")
        _kill_before_a_step(trainer, job.id)
    job = trainer.wait_for_end(job)
    assert job.error
    assert job.error.code == "out_of_memory"
    assert "batch_size" in str(job.error.message)


def _kill_before_a_step(trainer: Trainer, job_id: str) -> None:
    command = ["pkill", "-KILL", "-f", f"trainer.job {trainer.folder / 'jobs' / job_id}"]
    until(lambda: subprocess.run(command, check=False).returncode == 0)
