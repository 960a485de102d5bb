"""The image and the compose file are read, for want of a container engine, and their very commands run as processes."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml
from dotenv import dotenv_values
from pydantic import BaseModel

from cli.local import commands
from cli.processes import ports
from cli.processes.child import Child, Program
from shared.db.ids import new_id
from shared.settings import Settings

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker-compose.yml"
SERVERS = ("api", "worker", "sender", "beat")
OURS = ("migrate", *SERVERS, "sandbox")
THEIRS = ("postgres", "redis")
NOT_SETTINGS = {"HOST", "PORT"}  # read by the command line
ENDED_WELL = (0, -signal.SIGTERM)  # uvicorn takes its leave, then lets the signal have its way
REDIS_NUMBER = 13  # the broker's database in this file's tests
REFUSE_OTHERS = """
import sys
class Refuser:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in OTHERS:
            raise ModuleNotFoundError(f"No module named {name!r} in the image", name=name)
sys.meta_path.insert(0, Refuser())
"""

Stage = list[tuple[str, str]]


@cache
def stages() -> list[Stage]:
    """The Dockerfile's instructions, each a word and a text, in a list for every FROM."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest.strip()))
    return found


def final(instruction: str) -> str:
    """What the last stage says, once, with this instruction."""
    (text,) = (text for word, text in stages()[-1] if word == instruction)
    return text


def command(text: str) -> list[str]:
    words: list[str] = json.loads(text)
    return words


def pairs(instruction: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(final(instruction)))


def copied() -> set[str]:
    """What the image takes from the repository, in whatever stage."""
    copies = [shlex.split(text) for stage in stages() for word, text in stage if word == "COPY"]
    return {source for words in copies if not words[0].startswith("--from=") for source in words[:-1]}


@cache
def services() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return read


def grace(name: str) -> int:
    return int(services()[name]["stop_grace_period"].removesuffix("s"))


def recipe() -> str:
    """The lines at the head of the compose file that write `.env`, as a person would copy them."""
    found = re.search(r"^#   cat > \.env .*?^#   END$", COMPOSE.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return re.sub("^#   ", "", found[0], flags=re.MULTILINE)


def followed(folder: Path) -> dict[str, str]:
    """What `.env` holds after the recipe was run in this folder."""
    subprocess.run(["bash", "-euo", "pipefail", "-c", recipe()], cwd=folder, check=True)
    return {name: value or "" for name, value in dotenv_values(folder / ".env", interpolate=False).items()}


def test_the_image_runs_as_a_number_that_is_not_root() -> None:
    user, _, group = final("USER").partition(":")
    assert int(user) > 0 < int(group)  # a number, so that Kubernetes can see that it is not root


def test_the_image_takes_what_the_commands_need_and_nothing_else() -> None:
    assert copied() == {"api", "worker", "shared", "cli", "sandbox", "alembic", "pyproject.toml", "requirements.lock"}
    assert all((ROOT / path).exists() for path in copied())
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied()


def test_packages_come_from_the_lock_with_their_hashes_and_compiled() -> None:
    (install,) = (shlex.split(text) for word, text in stages()[0] if word == "RUN" and " install " in text)
    assert {"--require-hashes", "--compile", "--requirement", "/build/requirements.lock"} <= set(install)


def test_nothing_secret_is_in_the_image() -> None:
    names = [*pairs("ENV"), *(text for stage in stages() for word, text in stage if word == "ARG")]
    assert not [name for name in names if re.search("KEY|SECRET|PASSWORD|TOKEN|_URL", name)]


def test_the_image_listens_where_it_says() -> None:
    assert (pairs("ENV")["HOST"], pairs("ENV")["PORT"]) == ("0.0.0.0", final("EXPOSE"))


def test_the_version_is_written_in_pyproject_alone_and_the_image_has_that_file() -> None:
    assert "pyproject.toml" in copied()
    assert "org.opencontainers.image.version" not in pairs("LABEL")  # docs/releasing.md: given to the build
    assert {services()[name]["image"] for name in OURS} == {"tunery"}


@pytest.mark.parametrize("name", OURS + THEIRS)
def test_a_container_can_write_and_do_as_little_as_possible(name: str) -> None:
    service = services()[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_has_time_to_stop_and_hears_the_signal_alone(name: str) -> None:
    assert services()[name]["init"]
    assert grace(name) > commands.GRACE
    assert any(mount.startswith("/tmp") for mount in services()[name]["tmpfs"])


def test_each_server_starts_after_the_database_is_migrated() -> None:
    assert services()["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services()["migrate"]["restart"] == "no"
    for name in SERVERS:
        assert services()[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert services()[name]["depends_on"]["redis"] == {"condition": "service_healthy"}


def test_who_is_waited_for_says_how_to_see_that_it_is_well() -> None:
    assert all(services()[name]["healthcheck"]["test"] for name in (*THEIRS, "sandbox"))
    assert "healthcheck" not in services()["api"]  # the image's own
    assert all(services()[name]["healthcheck"] == {"disable": True} for name in ("migrate", "beat"))
    assert all(" /readyz" in str(services()[name]["healthcheck"]).replace("'", " ") for name in ("worker", "sender"))


def test_who_shares_files_shares_one_volume() -> None:
    storage = services()["api"]["environment"]["TUNERY_STORAGE"]
    assert {name for name in OURS if f"storage:{storage}" in services()[name].get("volumes", [])} == {
        "api",
        "worker",
        "beat",
    }


def test_every_secret_must_be_given_and_is_asked_for_in_a_sentence() -> None:
    variables = re.findall(r"\$\{(\w+)([^}]*)\}", COMPOSE.read_text())
    assert {name for name, _ in variables} == {*re.findall(r"^(\w+)=", recipe(), re.MULTILINE), "PUBLISH"}
    for name, otherwise in variables:
        assert name == "PUBLISH" or re.fullmatch(r":\?Put the .+ into \.env.+\.", otherwise)
    for name in OURS + THEIRS:
        for variable, value in services()[name]["environment"].items():
            assert "${" in value or not re.search("KEY|SECRET|PASSWORD|_URL", variable)


def test_the_recipe_for_env_makes_new_secrets_each_time(tmp_path: Path) -> None:
    first, second = followed(tmp_path), followed(tmp_path)
    assert [name for name in first if first[name] == second[name]] == ["TUNERY_PROVIDER__BASE_URL"]


@pytest.mark.parametrize("name", ["migrate", *SERVERS])
def test_every_variable_is_a_setting_and_every_needed_setting_a_variable(name: str) -> None:
    given = services()[name]["environment"].keys() - NOT_SETTINGS
    known = settings_of(Settings, "TUNERY_")
    assert {variable for variable, is_needed in known.items() if is_needed} <= given <= known.keys()


def settings_of(model: type[BaseModel], prefix: str) -> dict[str, bool]:
    """Every variable that is read, and whether it must be there."""
    found: dict[str, bool] = {}
    for name, info in model.model_fields.items():
        variable = str(info.validation_alias or prefix + name.upper())
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found |= settings_of(info.annotation, f"{variable}__")
        else:
            found[variable] = info.is_required()
    return found


@dataclass(frozen=True)
class Host:
    """Runs the services' commands as processes, in a folder that holds what the image holds."""

    folder: Path
    moved: dict[str, str]
    env_file: dict[str, str]
    children: list[Child] = field(default_factory=list)

    def environment(self, name: str) -> dict[str, str]:
        """The image's variables and the service's; only addresses and paths are those of this machine."""
        ours = services()[name]["environment"]
        variables = pairs("ENV") | {name: re.sub(r"\$\{(\w+)[^}]*\}", self._given, ours[name]) for name in ours}
        moved = {name: value for name, value in self.moved.items() if name in variables}
        if name == "sender":  # here it shares an address with the worker
            moved["TUNERY_HEALTH_ADDRESS"] = ""
        return variables | moved | {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.folder)}

    def _given(self, variable: re.Match[str]) -> str:
        return self.env_file[variable[1]]

    def start(self, name: str, *arguments: str) -> Child:
        """The entrypoint with the service's own command, or with these arguments."""
        service = services()[name]
        words = service.get("entrypoint", command(final("ENTRYPOINT"))) + (list(arguments) or service["command"])
        log = self.folder.parent / f"{name}-{len(self.children)}.log"
        child = Program(name, here(words), log, self.environment(name), self.folder).start()
        self.children.append(child)
        return child

    def finish(self, child: Child) -> str:
        """Everything that it printed, once it has ended well."""
        assert child.process.wait(60) == 0, child.last_words()
        return child.program.log.read_text()

    def is_healthy(self, name: str, check: list[str]) -> bool:
        run = subprocess.run(here(check), env=self.environment(name), cwd=self.folder, stderr=subprocess.DEVNULL)
        return run.returncode == 0

    @property
    def health_port(self) -> str:
        return self.moved["TUNERY_HEALTH_ADDRESS"].partition(":")[2]

    def status(self, path: str, key: str = "") -> int:
        """The api's answer; 0 while it does not listen."""
        connection = HTTPConnection("127.0.0.1", int(self.moved["PORT"]), timeout=5)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
            return connection.getresponse().status
        except ConnectionError:
            return 0
        finally:
            connection.close()


def here(words: list[str]) -> list[str]:
    return [sys.executable if word == "python" else word for word in words]


def lay_out_image(folder: Path) -> None:
    """The files that the image holds, and a refusal of each package that it does not hold."""
    for path in copied():
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy2
        copy(ROOT / path, folder / path)
    locked = set(map(plain, re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)))
    others = {name for name, owners in packages_distributions().items() if locked.isdisjoint(map(plain, owners))}
    (folder / "sitecustomize.py").write_text(f"OTHERS = {others!r}\n{REFUSE_OTHERS}")


def plain(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """An empty database, by the address that everyone writes."""
    name, server = new_id("deployment_"), urlsplit(postgres_url)._replace(scheme="postgresql")
    with psycopg.connect(server.geturl(), autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        yield server._replace(path=f"/{name}").geturl()
        connection.execute(f'drop database "{name}" with (force)'.encode())


@pytest.fixture
def host(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Host]:
    folder, broker = tmp_path / "app", urlsplit(redis_url)._replace(path=f"/{REDIS_NUMBER}").geturl()
    folder.mkdir()
    lay_out_image(folder)
    with ports.held() as port, ports.held() as sandbox_port, ports.held() as health_port:
        moved = {"DATABASE_URL": database_url, "REDIS_URL": broker, "TUNERY_STORAGE": str(tmp_path / "data")}
        moved |= {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "TUNERY_HEALTH_ADDRESS": f"127.0.0.1:{health_port}",
            "SANDBOX_HOST": "127.0.0.1",
            "SANDBOX_PORT": str(sandbox_port),
        }
        host = Host(folder, moved, followed(tmp_path))
        yield host
        for child in host.children:
            child.kill()


def test_two_migrations_at_once_both_succeed(host: Host) -> None:
    for migration in [host.start("migrate"), host.start("migrate")]:
        assert "revision" in host.finish(migration)


def test_the_servers_become_ready_serve_and_stop_when_told(host: Host) -> None:
    files = set(host.folder.rglob("*"))
    host.finish(host.start("migrate"))
    api, worker, sender, beat = (host.start(name) for name in SERVERS)
    api.wait_until(lambda: host.status("/readyz") == 200)
    for each in (worker, sender):
        each.wait_until(lambda each=each: " ready." in each.program.log.read_text())  # type: ignore[misc]
    beat.wait_until(lambda: "has started" in beat.program.log.read_text())
    check = command(final("HEALTHCHECK").partition(" CMD ")[2])
    assert host.is_healthy("api", check)
    its_check = [word.replace("8001", host.health_port) for word in services()["worker"]["healthcheck"]["test"][1:]]
    worker.wait_until(lambda: host.is_healthy("worker", its_check))
    *_, key = host.finish(host.start("api", "project", "create", "first")).split()
    assert host.status("/v1/files", key) == 200
    for child in (api, worker, sender, beat):
        child.process.terminate()
    for child in (api, worker, sender, beat):
        assert child.process.wait(grace(child.program.name)) in ENDED_WELL, child.last_words()
    assert not host.is_healthy("api", check)
    assert set(host.folder.rglob("*")) == files  # as on a read-only root


def test_the_sandbox_of_the_demo_listens_and_takes_the_key_that_the_worker_sends(host: Host) -> None:
    sandbox = host.start("sandbox")
    sandbox.wait_until(lambda: "listening" in sandbox.program.log.read_text())
    port = host.moved["SANDBOX_PORT"]
    check = [word.replace("8790", port) for word in services()["sandbox"]["healthcheck"]["test"][1:]]
    assert host.is_healthy("sandbox", check)
    assert host.environment("sandbox")["SANDBOX_API_KEY"] == host.environment("worker")["TUNERY_PROVIDER__API_KEY"]
    assert host.env_file["TUNERY_PROVIDER__BASE_URL"] == "http://sandbox:8790/v1"
