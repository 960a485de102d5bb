"""The commands of the image and of the compose file run as processes, with the files and packages of the image."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from importlib.metadata import packages_distributions
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from cli.processes import ports
from cli.processes.child import Child, Program
from shared.db.ids import new_id
from tests.deployment.readers import (
    ROOT,
    SERVERS,
    copied_paths,
    env_written_by_recipe,
    environment_of,
    final_instruction,
    services,
    stop_grace_seconds,
    words_of,
)

# uvicorn shuts down on SIGTERM and then raises the signal again.
ENDED_WELL = (0, -signal.SIGTERM)
REDIS_NUMBER = 13  # the broker's database in this file's tests
REFUSE_OTHERS = """
import sys
class Refuser:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in OTHERS:
            raise ModuleNotFoundError(f"No module named {name!r} in the image", name=name)
sys.meta_path.insert(0, Refuser())
"""


@dataclass(frozen=True)
class Host:
    """Runs services' commands as processes in a folder with the image's files.

    `overrides` are the variables whose addresses and paths must be those of this machine.
    """

    folder: Path
    overrides: dict[str, str]
    env_file: dict[str, str]
    children: list[Child] = field(default_factory=list)

    def environment(self, name: str) -> dict[str, str]:
        """The variables of the container, with `overrides` for those that it has."""
        variables = environment_of(name, self.env_file)
        overrides = {name: value for name, value in self.overrides.items() if name in variables}
        if name in {"sender", "beat"}:  # all three would listen on the same port of this machine
            overrides["TUNERY_HEALTH_ADDRESS"] = ""
        return variables | overrides | {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.folder)}

    def start(self, name: str, *arguments: str, **variables: str) -> Child:
        """The entrypoint with the service's own command, or with these arguments; `variables` as with `exec --env`."""
        service = services()[name]
        words = service.get("entrypoint", words_of(final_instruction("ENTRYPOINT"))) + (
            list(arguments) or service["command"]
        )
        log = self.folder.parent / f"{name}-{len(self.children)}.log"
        child = Program(name, with_this_python(words), log, self.environment(name) | variables, self.folder).start()
        self.children.append(child)
        return child

    def finish(self, child: Child) -> str:
        """Waits until it exits with 0, and returns what it printed."""
        assert child.process.wait(60) == 0, child.last_words()
        return child.program.log.read_text()

    def is_healthy(self, name: str, check: list[str]) -> bool:
        run = subprocess.run(
            with_this_python(check), env=self.environment(name), cwd=self.folder, stderr=subprocess.DEVNULL
        )
        return run.returncode == 0

    @property
    def health_port(self) -> str:
        return self.overrides["TUNERY_HEALTH_ADDRESS"].partition(":")[2]

    def status(self, path: str, key: str = "") -> int:
        """The status that the api answers; 0 while it does not listen."""
        connection = HTTPConnection("127.0.0.1", int(self.overrides["PORT"]), timeout=60)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
            return connection.getresponse().status
        except ConnectionError:
            return 0
        finally:
            connection.close()


def with_this_python(words: list[str]) -> list[str]:
    return [sys.executable if word == "python" else word for word in words]


def is_in_log(child: Child, text: str) -> bool:
    return text in child.program.log.read_text()


def lay_out_image(folder: Path) -> None:
    """Copies the image's files, and makes packages that are not in its locks fail to import."""
    for path in copied_paths():
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy2
        copy(ROOT / path, folder / path)
    locks = "".join((ROOT / name).read_text() for name in ("requirements.lock", "requirements-postgres.lock"))
    locked = set(map(normalized, re.findall(r"^([\w.-]+)==", locks, re.MULTILINE)))
    others = {name for name, owners in packages_distributions().items() if locked.isdisjoint(map(normalized, owners))}
    (folder / "sitecustomize.py").write_text(f"OTHERS = {others!r}\n{REFUSE_OTHERS}")


def normalized(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """The `postgresql://` address of an empty database, for its owner."""
    name, server = new_id("deployment_"), urlsplit(postgres_url)._replace(scheme="postgresql")
    with psycopg.connect(server.geturl(), autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        yield server._replace(path=f"/{name}").geturl()
        connection.execute(f'drop database "{name}" with (force)'.encode())
        connection.execute(f'drop role if exists "{name}"'.encode())


def for_servers(database_url: str) -> str:
    """The address with the servers' login, which `migrate` makes; its name is that of the database."""
    owner = urlsplit(database_url)
    return owner._replace(netloc=f"{owner.path[1:]}:password@{owner.hostname}:{owner.port}").geturl()


@pytest.fixture
def host(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Host]:
    folder, broker = tmp_path / "app", urlsplit(redis_url)._replace(path=f"/{REDIS_NUMBER}").geturl()
    folder.mkdir()
    lay_out_image(folder)
    with ports.held() as port, ports.held() as sandbox_port, ports.held() as health_port:
        overrides = {
            "DATABASE_URL": for_servers(database_url),
            "TUNERY_MIGRATION_DATABASE_URL": database_url,
            "REDIS_URL": broker,
            "TUNERY_STORAGE": str(tmp_path / "data"),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "TUNERY_HEALTH_ADDRESS": f"127.0.0.1:{health_port}",
            "SANDBOX_HOST": "127.0.0.1",
            "SANDBOX_PORT": str(sandbox_port),
        }
        host = Host(folder, overrides, env_written_by_recipe(tmp_path))
        yield host
        for child in host.children:
            child.kill()


def test_two_migrations_at_once_both_succeed(host: Host) -> None:
    for migration in [host.start("migrate"), host.start("migrate")]:
        assert "revision" in host.finish(migration)


def test_the_servers_become_ready_answer_and_stop_on_sigterm(host: Host) -> None:
    files = set(host.folder.rglob("*"))
    host.finish(host.start("migrate"))
    api, worker, sender, beat = (host.start(name) for name in SERVERS)
    api.wait_until(lambda: host.status("/readyz") == 200)
    for each in (worker, sender):
        each.wait_until(partial(is_in_log, each, " ready."))
    beat.wait_until(partial(is_in_log, beat, "has started"))
    check = words_of(final_instruction("HEALTHCHECK").partition(" CMD ")[2])
    assert host.is_healthy("api", check)
    its_check = [word.replace("8001", host.health_port) for word in services()["worker"]["healthcheck"]["test"][1:]]
    worker.wait_until(lambda: host.is_healthy("worker", its_check))
    *_, admin_key = host.finish(host.start("api", "admin-key", "create")).split()
    as_admin = {"OPENAI_BASE_URL": f"http://127.0.0.1:{host.overrides['PORT']}/v1", "OPENAI_ADMIN_KEY": admin_key}
    *_, key = host.finish(host.start("api", "project", "create", "first", **as_admin)).split()
    assert host.status("/v1/files", key) == 200
    for child in (api, worker, sender, beat):
        child.process.terminate()
    for child in (api, worker, sender, beat):
        assert child.process.wait(stop_grace_seconds(child.program.name)) in ENDED_WELL, child.last_words()
    assert not host.is_healthy("api", check)
    assert set(host.folder.rglob("*")) == files  # as on a read-only root


def test_the_sandbox_of_the_demo_accepts_the_key_that_the_worker_sends(host: Host) -> None:
    sandbox = host.start("sandbox")
    sandbox.wait_until(partial(is_in_log, sandbox, "listening"))
    port = host.overrides["SANDBOX_PORT"]
    check = [word.replace("8790", port) for word in services()["sandbox"]["healthcheck"]["test"][1:]]
    assert host.is_healthy("sandbox", check)
    assert host.environment("sandbox")["SANDBOX_API_KEY"] == host.environment("worker")["TUNERY_PROVIDER__API_KEY"]
    assert host.env_file["TUNERY_PROVIDER__BASE_URL"] == "http://sandbox:8790/v1"
