"""A job on another machine is asked through its folder: to pause, to cancel, or to leave it to a later attempt."""

from pathlib import Path

import pytest

from tests.trainer import jobs
from trainer.server import job_folder

FIRST = {"TRAINER_ATTEMPT": "1"}
LONG = 200  # epochs


@pytest.mark.timeout(900)
def test_it_pauses_and_another_attempt_goes_on(tmp_path: Path) -> None:
    folder = jobs.write(tmp_path / "job", n_epochs=LONG)
    with jobs.running(folder, **FIRST) as job:
        assert job.process.stdin
        job.process.stdin.close()  # that is not the server's end here
        job.wait_for("step", 3)
        job_folder.ask(folder, "pause", 1)
        assert job.end() == 75
    paused = jobs.lines(folder)[-1]
    assert paused["event"] == "paused"
    job_folder.ask(folder, "leave", 1)
    with jobs.running(folder, TRAINER_ATTEMPT="2") as job:
        assert job.wait_for("started", 2)["resumed_from"] == paused["step"]
        job_folder.ask(folder, "cancel", 2)
        assert job.end() == 0
    assert jobs.lines(folder)[-1]["event"] == "cancelled"


@pytest.mark.timeout(900)
def test_one_that_a_later_attempt_has_replaced_leaves_and_writes_nothing_more(tmp_path: Path) -> None:
    folder = jobs.write(tmp_path / "job", n_epochs=LONG)
    with jobs.running(folder, **FIRST) as job:
        job.wait_for("step", 3)
        job_folder.ask(folder, "pause", 2)
        assert job.end() == 76
    assert {line["event"] for line in jobs.lines(folder)} <= {"started", "valid", "step", "checkpoint"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("asked", "attempt", "code"), [("cancel", 1, 0), ("leave", 1, 76), ("cancel", 2, 76)])
def test_one_that_is_started_too_late_leaves_at_once(tmp_path: Path, asked: str, attempt: int, code: int) -> None:
    folder = jobs.write(tmp_path / "job", n_epochs=LONG)
    job_folder.ask(folder, asked, attempt)
    with jobs.running(folder, **FIRST) as job:
        assert job.end() == code
    assert [line["event"] for line in jobs.lines(folder)] == (["cancelled"] if code == 0 else [])
