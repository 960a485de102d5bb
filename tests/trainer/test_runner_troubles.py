"""A full disk when a job's model is packed: said once, tried again, and no slot is held meanwhile."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.trainer.in_process import DONE, trained, trainer_in
from trainer.server import job_folder, progress, runner, setbacks
from trainer.server.engine import Trainer
from trainer.server.processes.protocol import Ended
from trainer.server.run import Run


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[Trainer]:
    with trainer_in(tmp_path) as trainer:
        yield trainer


@pytest.mark.anyio
async def test_a_full_disk_is_said_once_and_holds_no_slot(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run, now = trained(trainer), [1_000.0]
    monkeypatch.setattr(trainer, "now", lambda: now[0])
    pack, tries = job_folder.pack, []

    def full(folder: Path, target: Path) -> None:
        tries.append(target)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job_folder, "pack", full)
    process = SimpleNamespace(ended=lambda: Ended(0), news=list, name="process 1")
    monkeypatch.setattr(trainer.runner, "_processes", {run.id: (process, "cpu")})
    for _ in range(3):
        await trainer.runner._look()
    assert (run.job.status, trainer.runner._processes, len(tries)) == ("running", {}, 1)
    now[0] += runner.UNREAD_SECONDS
    await trainer.runner._look()
    assert (run.job.status, len(tries)) == ("running", 2)
    assert sum("cannot be kept yet" in record.getMessage() for record in caplog.records) == 1
    monkeypatch.setattr(job_folder, "pack", pack)
    now[0] += runner.UNREAD_SECONDS
    await trainer.runner._look()
    assert run.job.status == "succeeded"
    assert len(run.job.result_files) == 2


@pytest.mark.anyio
async def test_what_was_told_before_a_full_disk_is_not_told_again(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, now = trained(trainer), [1_000.0]
    monkeypatch.setattr(trainer, "now", lambda: now[0])
    run.kept.total_steps = 1  # it was started before, and killed
    told = [{"event": "started", "total_steps": 1, "resumed_from": None}, {"event": "step", "step": 1}, DONE]
    (run.folder / job_folder.LINES).write_text("".join(json.dumps(line) + "\n" for line in told))
    monkeypatch.setattr(trainer.runner, "_ended", {run.id: Ended(0)})

    def full(*_: Any) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(progress, "write_metrics", full)
        await trainer.runner._look()
    assert run.job.status == "running"
    now[0] += runner.UNREAD_SECONDS
    await trainer.runner._look()
    assert run.job.status == "succeeded"
    messages = [event.message for event in run.events_page(None, 100)[0]]
    assert messages.count("Fine-tuning job goes on from step 0") == 1


class Machines:
    """They start nothing, and cannot say what an earlier server has left."""

    slots, threads, outlive_server = ["cpu"], 1, False

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, run: Run) -> Any:
        self.started.append(run.id)
        raise OSError("nothing can be started")

    def find(self, run: Run) -> None:
        raise OSError(f"the folder of {run.id} is away")

    async def close(self) -> None:
        pass


@pytest.mark.anyio
async def test_what_was_told_while_no_server_listened_is_read_before_anything_is_started(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, machines = trained(trainer), Machines()
    monkeypatch.setattr(trainer.runner, "machines", machines)
    work = asyncio.create_task(trainer.runner.work())
    while not run.is_over:
        await asyncio.sleep(0)
    trainer.runner.stop()
    await work
    assert (run.job.status, machines.started) == ("succeeded", [])


def test_a_job_that_a_cluster_loses_again_and_again_fails_and_waits_longer_each_time(trainer: Trainer) -> None:
    run = trained(trainer)
    waits = [setbacks.count_loss(run, "its actor did not start") for _ in range(setbacks.MAX_LOSSES - 1)]
    assert waits == sorted(waits)
    assert (run.job.status, waits[0], waits[-1]) == ("running", 2.0, setbacks.LONGEST_WAIT_SECONDS)
    setbacks.count_loss(run, "its actor did not start")
    assert run.job.error is not None
    assert "its actor did not start" in run.job.error.message
