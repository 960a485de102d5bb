"""A restore of Tunery and its trainer, as an operator does it: models answer, and no job is trained a second time."""

import json
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from cli.processes import ports
from tests.installation import database, deployed, first_person
from tests.servers import until
from tests.test_rehearsed_restore import SERVERS, make_another_installation, run
from tests.trainer.trainer_process import BASE, KEY, Trainer
from tests.world import Person, lines

STEPS = 300
PATIENCE = 600.0  # on a machine that does much else
SUPERVISED = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1, "batch_size": 4}}}
LONG = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": STEPS // 6, "batch_size": 4}}}


def told_steps(trainer: Trainer, theirs: str) -> list[int]:
    """The steps that the job's process has told, as they are in its folder."""
    path = trainer.folder / "jobs" / theirs / "lines.jsonl"
    told = path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []
    return [line["step"] for line in map(json.loads, told) if line["event"] == "step"]


def signal_process_of(trainer: Trainer, theirs: str, name: str) -> None:
    subprocess.run(["pkill", f"-{name}", "-f", f"trainer.job {trainer.folder / 'jobs' / theirs}"], check=True)


def stopped_in_the_middle(trainer: Trainer, theirs: str) -> None:
    """Waits for the third step; then the job's process stands still."""
    until(lambda: len(told_steps(trainer, theirs)) >= 3, "the third step", PATIENCE)
    signal_process_of(trainer, theirs, "STOP")
    assert told_steps(trainer, theirs)[-1] < STEPS


def ours_at(trainer: Trainer) -> dict[str, str]:
    """The trainer's id of each job, by ours. None is there twice."""
    listed = list(trainer.lenient.fine_tuning.jobs.list(limit=100))
    ours = {(job.metadata or {})["tunery_job"]: job.id for job in listed}
    assert len(ours) == len(listed), listed
    return ours


def wait_for_success(person: Person, job_id: str) -> None:
    def has_succeeded() -> bool:
        job = person.openai.fine_tuning.jobs.retrieve(job_id)
        assert job.status not in {"failed", "cancelled"}, job
        return job.status == "succeeded"

    until(has_succeeded, f"the end of {job_id}", PATIENCE)


def answer(person: Person, job_id: str) -> str | None:
    """Of the job's model, through Tunery."""
    model = person.openai.fine_tuning.jobs.retrieve(job_id).fine_tuned_model
    patient = person.openai.with_options(max_retries=9)  # loading takes long on a busy machine
    said = patient.chat.completions.create(
        model=str(model), messages=[{"role": "user", "content": "Question 1"}], max_tokens=8, temperature=0
    )
    return said.choices[0].message.content


@pytest.mark.timeout(1800)
def test_after_a_restore_models_answer_and_no_job_is_trained_a_second_time(postgres_url: str, tmp_path: Path) -> None:
    backup = str(tmp_path / "backup")
    with (
        ports.held() as port,
        Trainer(tmp_path / "trainer", devices="cpu,cpu", port=port) as trainer,
        database(postgres_url) as old,
        database(postgres_url) as new,
        deployed(
            old,
            tmp_path,
            TUNERY_PROVIDER__BASE_URL=f"{trainer.url}/v1",
            TUNERY_PROVIDER__API_KEY=KEY,
            TUNERY_PROVIDER__DIALECT="trainer",
        ) as deployment,
    ):
        person = first_person(deployment)
        file = person.upload(lines(24))
        ended = person.create_job(training_file=file, model=BASE, method=SUPERVISED)
        wait_for_success(person, ended)
        said = answer(person, ended)
        running = person.create_job(training_file=file, model=BASE, method=LONG)
        until(lambda: running in ours_at(trainer), "the create of a job", PATIENCE)
        stopped_in_the_middle(trainer, ours_at(trainer)[running])
        deployment.kill("worker")
        waiting = person.create_job(training_file=file, model=BASE, method=SUPERVISED)  # not yet at the trainer

        run(deployment, "backup", backup)

        deployment.start("worker")
        wait_for_success(person, waiting)
        there = ours_at(trainer)
        for name in SERVERS:
            deployment.kill(name)
        trainer.stop(signal.SIGKILL)
        signal_process_of(trainer, there[running], "KILL")
        copied = told_steps(trainer, there[running])[-1]
        trainer.folder = Path(shutil.copytree(trainer.folder, tmp_path / "copy", symlinks=True))
        shutil.rmtree(tmp_path / "trainer")

        make_another_installation(deployment, new)
        trainer.start()
        run(deployment, "restore", backup)
        assert waiting in run(deployment, "reconcile", "--restored")
        for name in SERVERS:
            deployment.start(name)
        deployment.running["api"].wait_until(partial(ports.is_listening, deployment.api_port))

        for job in (ended, running, waiting):
            wait_for_success(person, job)
        assert ours_at(trainer) == there
        assert answer(person, ended) == said
        assert answer(person, running)
        assert answer(person, waiting)
        steps = told_steps(trainer, there[running])
        assert sorted({*steps}) == list(range(1, STEPS + 1))
        assert len(steps) - STEPS <= copied
        person.close()
