"""A restore as an operator does it, with real processes: every job comes right, and none runs twice at the provider."""

import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

from cli.local import commands
from cli.processes import ports
from tests.installation import KEY, Deployment, database, deployed, first_person
from tests.servers import until
from tests.world import Person, Sandbox

SERVERS = ("api", "worker", "sender", "beat")
SLOW = {"SANDBOX_SPEED": "0.001", "SANDBOX_MAX_ACTIVE_JOBS_PER_MODEL": "9"}  # a job runs until the test moves it


def run(deployment: Deployment, *arguments: str) -> str:
    """What a command of an operator printed."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=commands.ROOT,
        env=deployment.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def created(provider: Sandbox, person: Person, count: int) -> list[str]:
    """Our ids of new jobs that the provider has."""
    file, before = person.upload(), len(provider.jobs())
    ids = [person.create_job(training_file=file, suffix=f"job{number}") for number in range(count)]
    until(lambda: len(provider.jobs()) == before + count, f"{count} creates")
    return ids


def theirs(provider: Sandbox) -> dict[str, str]:
    """The provider's id of each job, by ours."""
    return {job.metadata["tunery_job"]: job.id for job in provider.jobs()}


def statuses(person: Person) -> Counter[str]:
    return Counter(job.status for job in person.openai.fine_tuning.jobs.list(limit=100))


def make_another_installation(deployment: Deployment, database_url: str) -> None:
    """An empty database and an empty storage, with the settings of before."""
    deployment.environ["DATABASE_URL"] = database_url
    deployment.environ["TUNERY_STORAGE"] = str(deployment.folder / "files of the new one")


def test_after_a_restore_every_job_comes_right_and_none_is_doubled(postgres_url: str, tmp_path: Path) -> None:
    backup = str(tmp_path / "backup")
    with database(postgres_url) as old, database(postgres_url) as new, deployed(old, tmp_path, **SLOW) as deployment:
        provider = Sandbox(f"http://127.0.0.1:{deployment.sandbox_port}", KEY)
        person = first_person(deployment)
        ended, ends_later = created(provider, person, 2)
        provider.move(theirs(provider)[ended], status="succeeded")
        until(lambda: statuses(person)["succeeded"] == 1, "the end of a job")
        deployment.kill("worker")
        waiting = [person.create_job(training_file=person.upload()) for _ in range(2)]  # not yet at the provider

        run(deployment, "backup", backup)

        deployment.start("worker")
        until(lambda: len(provider.jobs()) == 4, "the creates of those that waited")
        (forgotten,) = created(provider, person, 1)
        there = theirs(provider)
        for id in (ends_later, waiting[0]):
            provider.move(there[id], status="succeeded")
        for name in SERVERS:
            deployment.kill(name)

        make_another_installation(deployment, new)
        run(deployment, "restore", backup)
        assert forgotten in run(deployment, "reconcile", "--restored")
        for name in SERVERS:
            deployment.start(name)
        deployment.running["api"].wait_until(partial(ports.is_listening, deployment.api_port))

        until(lambda: statuses(person)["succeeded"] == 3, "the end of those that ended meanwhile")
        provider.move(there[waiting[1]], status="succeeded")
        until(lambda: statuses(person) == {"succeeded": 4}, "the end of all")
        assert theirs(provider) == there
        assert len(provider.jobs()) == 5
        assert {job.id for job in provider.jobs() if job.status == "cancelled"} == {there[forgotten]}
        person.close()
        provider.close()
