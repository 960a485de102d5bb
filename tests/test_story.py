"""End to end with real processes killed at the worst moments: nothing is lost, and nothing is created twice."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from openai import OpenAI
from sqlalchemy import make_url

from cli import secret_files
from cli.embedded import valkey
from cli.embedded.valkey import Broker
from cli.local import commands
from cli.processes import ports
from cli.processes.child import Child, Program
from shared.db.ids import new_id
from tests.servers import Receiver
from tests.world import Person, Sandbox, lines

JOBS, FILES = "/v1/fine_tuning/jobs", "/v1/files"
KEY = "sk-sandbox"
ENDS = ["fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled"]
FAST_SETTINGS = {
    "SANDBOX_SPEED": "50",
    "TUNERY_POLL_EVERY": "0.2",
    "TUNERY_SWEEP_EVERY": "0.1",
    "TUNERY_ENQUEUE_AGAIN_AFTER": "0.5",
    "TUNERY_RETRY_BASE": "0.1",
    "TUNERY_LEASE": "2",  # longer than any call here takes, as a lease must be
    "TUNERY_CREATE_GRACE": "2",
}


def wait_until(is_so: Callable[[], bool], what: str, patience: float = 90) -> None:
    deadline = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not happen in {patience:.0f} s"
        time.sleep(0.05)


@dataclass
class Deployment:
    """All server processes by name, and how to start and kill them."""

    folder: Path
    environ: dict[str, str]
    broker: Broker
    broker_port: int
    api_port: int
    sandbox_port: int
    running: dict[str, Child] = field(default_factory=dict)

    def start(self, name: str) -> Child:
        program = Program(name, self.command(name), self.folder / f"{name}.log", self.environ, commands.ROOT)
        self.running[name] = child = program.start()
        return child

    def command(self, name: str) -> list[str]:
        match name:
            case "api":
                return commands.api("127.0.0.1", self.api_port, grace=1)
            case "worker":
                return commands.worker(concurrency=1)
            case "sender":
                return commands.sender(concurrency=8)
            case "beat":
                return commands.beat()
            case "sandbox":
                return commands.sandbox(self.sandbox_port)
        return [sys.executable, "-m", "cli.local.seed", str(self.folder / "first.json")]

    def start_redis(self) -> None:
        log = self.folder / "valkey.log"
        self.running["redis"] = child = self.broker.ready_to_start(self.broker_port, log=log, durable=False).start()
        child.wait_until(lambda: self.broker.is_ready(self.broker_port))

    def kill(self, name: str) -> None:
        """Kills the process and its children with SIGKILL."""
        self.running.pop(name).kill()

    def print_logs(self) -> None:
        """Prints exit codes and the ends of logs, which pytest shows when a test fails."""
        for child in self.running.values():
            print(child.program.name, child.process.poll(), child.log_tail())  # noqa: T201


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> Iterator[str]:
    """An empty database of our own."""
    name, server = new_id("story_"), make_url(postgres_url)
    address = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        yield server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
        connection.execute(f'drop database "{name}" with (force)'.encode())


def environment(folder: Path, database_url: str, redis_url: str, sandbox_port: int) -> dict[str, str]:
    ours = {
        "PYTHONPATH": str(commands.ROOT),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TUNERY_SECRET_KEYS": json.dumps([Fernet.generate_key().decode()]),
        "TUNERY_STORAGE": str(folder / "files"),
        "TUNERY_PROVIDER__BASE_URL": f"http://127.0.0.1:{sandbox_port}/v1",
        "TUNERY_PROVIDER__API_KEY": KEY,
        "TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS": '["127.0.0.0/8"]',
        "SANDBOX_API_KEY": KEY,
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TUNERY_", "OPENAI_"))}
    return inherited | ours | FAST_SETTINGS


@pytest.fixture(scope="module")
def deployment(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("story")
    broker = valkey.find_or_prepare(folder)
    with ports.held() as redis, ports.held() as api, ports.held() as sandbox:
        deployment = Deployment(
            folder, environment(folder, database_url, broker.url(redis), sandbox), broker, redis, api, sandbox
        )
        try:
            deployment.start_redis()
            first, *_ = [deployment.start(name) for name in ("first", "sandbox", "api", "worker", "sender", "beat")]
            assert first.process.wait(60) == 0, first.log_tail()
            del deployment.running["first"]
            for name, port in (("sandbox", sandbox), ("api", api)):
                deployment.running[name].wait_until(partial(ports.is_listening, port))
            yield deployment
        finally:
            for child in deployment.running.values():
                child.kill()


@pytest.fixture
def provider(deployment: Deployment) -> Iterator[Sandbox]:
    """The sandbox, emptied."""
    sandbox = Sandbox(f"http://127.0.0.1:{deployment.sandbox_port}", KEY)
    sandbox.reset()
    yield sandbox
    sandbox.close()


@pytest.fixture
def alice(deployment: Deployment) -> Iterator[Person]:
    """Has the first project's key and a client with a timeout of 1.5 seconds."""
    first = secret_files.read_json(deployment.folder / "first.json")
    alice = Person(f"http://127.0.0.1:{deployment.api_port}/v1", first["api_key"], first["project_id"])
    alice.openai.timeout = 1.5
    try:
        yield alice
    finally:
        alice.close()
        deployment.print_logs()


def succeeds(person: Person, job_id: str) -> Any:
    """Waits until the job has succeeded, and returns it."""
    wait_until(
        lambda: person.openai.fine_tuning.jobs.retrieve(job_id).status == "succeeded", f"the success of {job_id}"
    )
    return person.openai.fine_tuning.jobs.retrieve(job_id)


def test_a_file_becomes_a_model_and_the_webhook_can_be_believed(
    alice: Person, provider: Sandbox, receiver: Receiver
) -> None:
    new = {"name": "story", "url": receiver.url, "event_types": ENDS}
    secret = alice.http.post("/webhook_endpoints", json=new).raise_for_status().json()["signing_secret"]
    file = alice.openai.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
    job_id = alice.openai.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=file.id, suffix="story").id
    job = succeeds(alice, job_id)
    wait_until(lambda: len(receiver.received) > 0, "the webhook")
    ((headers, body),) = receiver.received
    event: Any = OpenAI(api_key="-", webhook_secret=secret).webhooks.unwrap(body, headers)
    assert (event.type, event.data.id) == ("fine_tuning.job.succeeded", job_id)
    question: Any = [{"role": "user", "content": "Question 7"}]
    answer = alice.openai.chat.completions.create(model=job.fine_tuned_model, messages=question)
    assert answer.choices[0].message.content == "Answer 7"
    events = alice.openai.fine_tuning.jobs.list_events(job_id, limit=100)
    messages = [event.message for event in events if event.level == "info"]  # before 2027-01-14 there is a warning
    assert messages[0] == "The job has successfully completed"
    [created, accepted] = [message for message in messages if "slot" not in message][-2:]
    assert created == f"Created fine-tuning job: {job_id}"
    assert accepted.startswith("Job accepted: ")


def test_a_worker_that_is_killed_between_the_create_and_its_record_leaves_one_job(
    deployment: Deployment, alice: Person, provider: Sandbox
) -> None:
    provider.arm("POST", JOBS, delay_after=60)
    job_id = alice.create_job()
    wait_until(lambda: len(provider.jobs()) == 1, "the create")
    deployment.kill("worker")
    assert alice.http.get(f"/fine_tuning/jobs/{job_id}").json()["provider_job_id"] is None
    deployment.start("worker")
    succeeds(alice, job_id)
    (job,) = provider.jobs()
    assert alice.http.get(f"/fine_tuning/jobs/{job_id}").json()["provider_job_id"] == job.id


def test_a_worker_that_is_killed_during_the_upload_leaves_one_file(
    deployment: Deployment, alice: Person, provider: Sandbox
) -> None:
    provider.arm("POST", FILES, delay_after=60)
    job_id = alice.create_job()
    wait_until(lambda: len(provider.files()) == 1, "the upload")
    deployment.kill("worker")
    deployment.start("worker")
    succeeds(alice, job_id)
    (job,), (file,) = provider.jobs(), provider.files()
    assert job.training_file == file.id


def test_without_redis_a_job_is_accepted_at_once_and_done_when_redis_is_back(
    deployment: Deployment, alice: Person, provider: Sandbox
) -> None:
    worker = deployment.running["worker"]
    deployment.kill("redis")
    job_id = alice.create_job()  # within the client's timeout
    assert alice.openai.fine_tuning.jobs.retrieve(job_id).status == "validating_files"
    deployment.start_redis()  # empty: every message that was in it is lost
    succeeds(alice, job_id)
    assert worker.is_alive
    assert len(provider.jobs()) == 1
