"""A job on two devices: the losses of one process, and one end for both, however one of them ends.

The devices are CPUs, joined by gloo. The last batch of an epoch is never even: one process gets a row less, or none.
"""

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.trainer import jobs

pytestmark = pytest.mark.timeout(1800)
TWO: dict[str, Any] = {"device": "cpu+cpu", "n_epochs": 2}
NO_CHANCE = {"dropout": 0.0}
MIB = 2**20


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same job in one process."""
    folder = jobs.write(tmp_path_factory.mktemp("jobs") / "alone", n_epochs=2, options=NO_CHANCE)
    assert jobs.run(folder, **jobs.FLOAT32) == 0, (folder / "stderr.log").read_text()
    return folder


def curve(folder: Path, event: str, name: str) -> dict[int, float]:
    return {step: line[name] for step, line in jobs.told(folder, event).items()}


def wait_until_gone(ids: list[int]) -> None:
    deadline = time.monotonic() + jobs.PATIENCE
    while any(_lives(id) for id in ids):
        assert time.monotonic() < deadline, ids
        time.sleep(0.05)


def _lives(id: int) -> bool:
    try:
        return Path(f"/proc/{id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_two_processes_that_are_killed_and_paused_have_the_losses_of_one(alone: Path, tmp_path: Path) -> None:
    folder = jobs.write(tmp_path / "two", options=NO_CHANCE, **TWO)
    with jobs.running(folder, **jobs.FLOAT32) as job:
        job.wait_for("step", 5)
        ranks = job.ranks()
        assert len(ranks) == 2
        job.kill()
        wait_until_gone(ranks)
    with jobs.running(folder, **jobs.FLOAT32) as job:
        job.wait_for("started", 2)
        job.wait_for("step", len(jobs.told(folder, "step")) + 2)
        assert job.process.stdin
        job.process.stdin.close()  # the server died
        assert job.end() == 75
    assert jobs.lines(folder)[-1]["event"] == "paused"
    assert jobs.run(folder, **jobs.FLOAT32) == 0, (folder / "stderr.log").read_text()
    for event, name in (("step", "train_loss"), ("step", "grad_norm"), ("valid", "valid_loss")):
        assert curve(folder, event, name) == pytest.approx(curve(alone, event, name), abs=1e-4), name
    accuracy = "valid_mean_token_accuracy"
    assert curve(folder, "valid", accuracy) == pytest.approx(curve(alone, "valid", accuracy))
    assert {path.name for path in (folder / "final").iterdir()} == {path.name for path in (alone / "final").iterdir()}
    assert "| devices | 2 CPUs |" in (folder / "final" / "README.md").read_text()
    assert not (folder / "partial").exists()


def test_a_process_that_is_killed_ends_the_job_which_goes_on_and_is_cancelled(tmp_path: Path) -> None:
    folder = jobs.write(tmp_path / "job", device="cpu+cpu", n_epochs=500)
    with jobs.running(folder) as job:
        job.wait_for("checkpoint")
        ranks = job.ranks()
        os.kill(ranks[1], signal.SIGKILL)
        assert job.end() == -signal.SIGKILL
        wait_until_gone(ranks)
    assert {line["event"] for line in jobs.lines(folder)}.isdisjoint({"failed", "done", "paused"})
    with jobs.running(folder) as job:
        assert job.wait_for("started", 2)["resumed_from"] >= 4
        job.wait_for("step", len(jobs.told(folder, "step")) + 2)
        job.process.send_signal(signal.SIGUSR1)
        assert job.end() == 0
    assert jobs.lines(folder)[-1]["event"] == "cancelled"
    assert not (folder / "partial").exists()


def test_memory_that_runs_out_in_the_second_process_is_told_by_the_job(tmp_path: Path) -> None:
    answer = {"messages": [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "one two " * 60}]}
    folder = jobs.write(tmp_path / "job", valid=None, batch_size=128, device="cpu+cpu")
    jobs.data(folder / "train.jsonl", lambda number: answer, 128)
    with jobs.running(folder) as job:
        job.wait_for("started")
        second = job.ranks()[1]
        pages = int(Path(f"/proc/{second}/statm").read_text().split()[0])
        room = pages * resource.getpagesize() + 96 * MIB
        resource.prlimit(second, resource.RLIMIT_AS, (room, room))
        assert job.end() == 3
    last = jobs.lines(folder)[-1]
    assert (last["event"], last["code"]) == ("failed", "out_of_memory")
    assert "Try a smaller batch_size (128 now)" in last["message"]
    assert not (folder / "final").exists()


def test_preferences_are_learnt_alike_by_one_and_two(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.jsonl" for name in ("train", "valid")}
    given = {"train": str(jobs.data(files["train"], jobs.preference, 9))}
    given["valid"] = str(jobs.data(files["valid"], jobs.preference, 3))
    folders = [
        jobs.write(tmp_path / device, method="dpo", device=device, n_epochs=2, options=NO_CHANCE, **given)
        for device in ("cpu", "cpu+cpu")
    ]
    for folder in folders:
        assert jobs.run(folder, **jobs.FLOAT32) == 0, (folder / "stderr.log").read_text()
    for event, names in (
        ("step", ("train_loss", "grad_norm", "rewards_margins", "rewards_accuracies", "rewards_chosen")),
        ("valid", ("valid_loss", "rewards_margins", "rewards_rejected")),
    ):
        for name in names:
            one, two = (curve(folder, event, name) for folder in folders)
            assert one == pytest.approx(two, abs=1e-4), name
    assert curve(folders[1], "valid", "rewards_margins")[6] > 0.001
