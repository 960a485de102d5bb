"""Fixtures for all tests: real servers, started once per run and shared by all xdist workers."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import NullPool, create_engine, make_url, text

from api.chat.counting import counter
from api.main import create_app
from cli.embedded import postgres_home
from cli.local.environment import StackOptions
from cli.local.stack import running
from cli.processes import ports
from cli.processes.ports import PortReservations
from shared.broker import queue
from shared.broker.queue import get_celery
from shared.database import get_engine
from shared.datasets.validation.rules import fitness
from shared.db.ids import new_id
from shared.migrations import migrate
from shared.settings import get_settings
from tests.api.administration import Operator, operating
from tests.api.module_person import module_person
from tests.brokers import until_it_answers
from tests.servers import PATIENCE, Receiver, serving
from tests.storage_locations import BUCKET, StorageLocation, s3_server, variables
from tests.worker.support import settings
from tests.world import Person, RunningStack, Sandbox, empty_tables, environment, sandbox_of

SERVERS_FOLDER = "TUNERY_TEST_SERVERS"
SERVERS_START_SECONDS = 100.0  # at most; usually one
servers = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    """Starts the servers while tests are collected; the workers of xdist find the folder in their environment."""
    if SERVERS_FOLDER in os.environ or config.option.collectonly or _are_given():
        return
    folder = tempfile.mkdtemp(prefix="tunery-test-")
    os.environ[SERVERS_FOLDER] = folder
    with (Path(folder) / "log").open("wb") as log:
        config.stash[servers] = subprocess.Popen(
            [sys.executable, "-m", "cli.embedded.temporary", folder],
            stdin=subprocess.PIPE,  # they stop when it closes, however we end
            stderr=log,
            cwd=config.rootpath,
            start_new_session=True,
        )


def pytest_unconfigure(config: pytest.Config) -> None:
    if process := config.stash.get(servers, None):
        process.communicate()
        shutil.rmtree(os.environ.pop(SERVERS_FOLDER))


def _are_given() -> bool:
    return all(os.environ.get(f"TUNERY_TEST_{name}_URL") for name in ("DATABASE", "REDIS"))


def _address(name: str) -> str:
    """The server's address once it runs: `TUNERY_TEST_<NAME>_URL`, or that of the embedded one."""
    if given := os.environ.get(f"TUNERY_TEST_{name.upper()}_URL"):
        return given
    folder = Path(os.environ[SERVERS_FOLDER])
    deadline = time.monotonic() + SERVERS_START_SECONDS
    while not (file := folder / f"{name}_url").exists():
        if time.monotonic() > deadline or (folder / "failed").exists():
            pytest.exit(f"The embedded servers did not start: {(folder / 'log').read_text()}", returncode=3)
        time.sleep(0.02)
    return file.read_text()


@pytest.fixture(autouse=True)
def _day_on_which_some_models_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which base models count as stopped does not depend on when the tests run."""
    monkeypatch.setattr(fitness, "today", lambda: date(2026, 11, 29))


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """A Postgres of this test run, with the rights to create databases in it (`postgresql+psycopg://…`)."""
    return _address("database")


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A Valkey of this test run (`redis://…`); take a database number or a key prefix of your own."""
    return _address("redis")


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[Sandbox]:
    """The provider's stand-in, as a process. Its jobs take hours: tests move them."""
    with sandbox_of("openai") as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def server(
    postgres_url: str, redis_url: str, sandbox_server: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The api on a port of its own, in this process, with a migrated database of its own; its address."""
    database = f"tunery_test_{os.getpid()}"
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text(f"create database {database}"))
    owner = make_url(postgres_url).set(database=database)
    login = owner.set(username="tunery_login", password="of-the-servers-alone")  # `migrate` makes it
    with environment(
        {
            "DATABASE_URL": login.render_as_string(hide_password=False),
            "TUNERY_MIGRATION_DATABASE_URL": owner.render_as_string(hide_password=False),
            "REDIS_URL": redis_url,
            "TUNERY_SECRET_KEYS": json.dumps([Fernet.generate_key().decode()]),
            "TUNERY_PROVIDER__BASE_URL": f"{sandbox_server.address}/v1",
            "TUNERY_PROVIDER__API_KEY": "sk-sandbox",
            "TUNERY_PROVIDER__TIMEOUT": "30",
            "TUNERY_STORAGE": str(tmp_path_factory.mktemp("storage")),
            "TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS": '["127.0.0.0/8"]',
            "TUNERY_WEBHOOK_TIMEOUT": "30",
            "TUNERY_LOG_LEVEL": "warning",
            "TUNERY_RETENTION__UNREAD_EVENTS": "true",
            "TUNERY_RATE_LIMITS__REQUESTS_PER_MINUTE": "1000000",
            "TUNERY_RATE_LIMITS__FAILED_AUTHENTICATIONS_PER_MINUTE": "1000000",
        }
    ):
        get_settings()
    queue.REDIS_TIMEOUT_SECONDS = PATIENCE  # a busy machine is no Redis that is down
    migrate()
    with serving(create_app()) as address:
        yield f"{address}/v1"
    get_engine().dispose()
    get_celery().close()


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    """The address of a database without tables."""
    name = new_id("empty_")
    url = postgres_url.replace("postgresql+psycopg://", "postgresql://").rpartition("/")[0]
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        yield f"{url}/{name}"
        connection.execute(f'drop database "{name}" with (force)'.encode())


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """A server of buckets, for tests that use `location`."""
    with s3_server() as address:
        yield address


@pytest.fixture(params=["folder", "bucket"])
def location(request: pytest.FixtureRequest, server: str, tmp_path: Path) -> Iterator[StorageLocation]:
    """The api's and the worker's storage, empty: the test runs once with each kind."""
    if request.param == "folder":
        location = StorageLocation(str(tmp_path / "files"))
        with settings(TUNERY_STORAGE=location.setting):
            yield location
        return
    location = StorageLocation(f"s3://{BUCKET}/{tmp_path.name}", endpoint=request.getfixturevalue("s3_address"))
    with environment(variables(location.endpoint or "")), settings(TUNERY_STORAGE=location.setting):
        yield location


@pytest.fixture
def sandbox(sandbox_server: Sandbox) -> Sandbox:
    """The provider's stand-in, emptied."""
    sandbox_server.reset()
    return sandbox_server


@pytest.fixture
def clean(server: str) -> Iterator[str]:
    """The api with nothing in its database."""
    until_it_answers()
    yield server
    counter.flush()  # else it would write later, and again and again, for projects that are no more
    empty_tables()


@pytest.fixture
def alice(clean: str, sandbox: Sandbox) -> Iterator[Person]:
    """The member of a project who owns what the test is about."""
    with module_person(clean, "alice's team") as alice:
        yield alice


@pytest.fixture
def bob(clean: str) -> Iterator[Person]:
    """A member of another project, who must see nothing of Alice's."""
    with module_person(clean, "bob's team") as bob:
        yield bob


@pytest.fixture
def operator(clean: str) -> Iterator[Operator]:
    """Has an admin key and manages the organization."""
    with operating(clean) as operator:
        yield operator


@pytest.fixture
def held_port() -> Iterator[int]:
    """The port of a server that the test starts: nobody else is given it meanwhile."""
    with ports.held() as port:
        yield port


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook receiver that keeps every request."""
    with Receiver.listening() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Everything as `tunery up` starts it, as processes of their own, with the first project's key."""
    state = tmp_path_factory.mktemp("stack")
    fast = {"SANDBOX_SPEED": "5", "TUNERY_POLL_EVERY": "0.5"}
    options = StackOptions(state, isolated=True, durable=False, settings=fast)
    with PortReservations(state / "ports.json") as ports_held, running(options, ports_held) as stack:
        yield RunningStack(stack.base_url, stack.first["api_key"])
    postgres_home.remove(state)
