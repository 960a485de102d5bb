"""All servers as processes of one installation, with a database and a provider of its own, which tests may kill."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
from cryptography.fernet import Fernet
from sqlalchemy import make_url

from cli import secret_files
from cli.embedded import valkey
from cli.embedded.valkey import Broker
from cli.local import commands
from cli.processes import ports
from cli.processes.child import Child, Program
from shared.db.ids import new_id
from tests.world import Person

KEY = "sk-sandbox"
FAST_SETTINGS = {
    "SANDBOX_SPEED": "50",
    "TUNERY_POLL_EVERY": "0.2",
    "TUNERY_SWEEP_EVERY": "0.1",
    "TUNERY_ENQUEUE_AGAIN_AFTER": "0.5",
    "TUNERY_RETRY_BASE": "0.1",
    "TUNERY_LEASE": "2",  # longer than any call here takes, as a lease must be
    "TUNERY_CREATE_GRACE": "2",
}


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
    steps_at_once: int = 1  # of the worker

    def start(self, name: str) -> Child:
        program = Program(name, self.command(name), self.folder / f"{name}.log", self.environ, commands.ROOT)
        self.running[name] = child = program.start()
        return child

    def command(self, name: str) -> list[str]:
        match name:
            case "api":
                return commands.api("127.0.0.1", self.api_port, grace=1)
            case "worker":
                return commands.worker(self.steps_at_once)
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


@contextmanager
def database(postgres_url: str) -> Iterator[str]:
    """An empty database of our own."""
    name, server = new_id("story_"), make_url(postgres_url)
    address = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        yield server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
        connection.execute(f'drop database "{name}" with (force)'.encode())


def environment(folder: Path, database_url: str, redis_url: str, sandbox_port: int) -> dict[str, str]:
    ours = {"PYTHONPATH": str(commands.ROOT), **required(folder, database_url, redis_url, sandbox_port)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TUNERY_", "OPENAI_"))}
    return inherited | ours | FAST_SETTINGS


def required(folder: Path, database_url: str, redis_url: str, sandbox_port: int) -> dict[str, str]:
    """What an installation with the sandbox as its provider needs at least."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TUNERY_SECRET_KEYS": json.dumps([Fernet.generate_key().decode()]),
        "TUNERY_STORAGE": str(folder / "files"),
        "TUNERY_PROVIDER__BASE_URL": f"http://127.0.0.1:{sandbox_port}/v1",
        "TUNERY_PROVIDER__API_KEY": KEY,
        "TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS": '["127.0.0.0/8"]',
        "SANDBOX_API_KEY": KEY,
    }


@contextmanager
def deployed(database_url: str, folder: Path, **variables: str) -> Iterator[Deployment]:
    """The servers, with these variables too; in a value, `PORT` stands for the provider's."""
    broker = valkey.find_or_prepare(folder)
    with ports.held() as redis, ports.held() as api, ports.held() as sandbox:
        environ = environment(folder, database_url, broker.url(redis), sandbox)
        environ |= {name: value.replace("PORT", str(sandbox)) for name, value in variables.items()}
        deployment = Deployment(folder, environ, broker, redis, api, sandbox)
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


def first_person(deployment: Deployment) -> Person:
    """Has the first project's key."""
    first = secret_files.read_json(deployment.folder / "first.json")
    return Person(f"http://127.0.0.1:{deployment.api_port}/v1", first["api_key"], first["project_id"])


@contextmanager
def person_of(deployment: Deployment) -> Iterator[Person]:
    """The first project's. At the end the servers' logs are printed, which a failed test shows."""
    person = first_person(deployment)
    try:
        yield person
    finally:
        person.close()
        deployment.print_logs()
