"""Api servers as processes with an environment of their own, for tests of other settings and of outages."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from openai import OpenAI

from cli.processes import ports
from shared.database import transaction
from shared.projects import service as projects
from tests.api.module_person import nobody_else
from tests.servers import closed_port, wait_for_port
from tests.world import Person, Sandbox, variables_of_this_test

Elsewhere = Callable[[str], Person]


@contextmanager
def running_under(**conditions: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the api as a process on the tests' database, with these variables changed; yield its URL and the process."""
    environment = {**os.environ, **variables_of_this_test(), **conditions}
    with ports.held() as port:
        command = [sys.executable, "-m", "uvicorn", "--factory", "api.main:create_app", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for_port(port)
            yield f"http://127.0.0.1:{port}/v1", process
        finally:
            process.terminate()
            process.wait()


@contextmanager
def serving_under(**conditions: str) -> Iterator[str]:
    with running_under(**conditions) as (address, _):
        yield address


@pytest.fixture(scope="session")
def frugal_server(server: str) -> Iterator[str]:
    """A server that accepts files up to 100,000 bytes and JSON up to 10,000, without Redis."""
    conditions = {
        "TUNERY_MAX_FILE_BYTES": "100000",
        "TUNERY_MAX_JSON_BYTES": "10000",
        "TUNERY_MAX_CHAT_BYTES": "20000",
        "REDIS_URL": f"redis://127.0.0.1:{closed_port()}/0",
    }
    with serving_under(**conditions) as address:
        yield address


@pytest.fixture
def frugal(frugal_server: str, alice: Person) -> Iterator[Person]:
    """Alice, at the server with small limits."""
    person = Person(frugal_server, alice.api_key, alice.project_id)
    yield person
    person.close()


@pytest.fixture(scope="session")
def lonely_server(server: str) -> Iterator[str]:
    """A server without Postgres and without a provider."""
    conditions = {
        "DATABASE_URL": f"postgresql://nobody:secret@127.0.0.1:{closed_port()}/nothing",
        "TUNERY_PROVIDER__BASE_URL": f"http://127.0.0.1:{closed_port()}/v1",
    }
    with serving_under(**conditions) as address:
        yield address


@pytest.fixture(scope="module")
def mallory(server: str, sandbox_server: Sandbox) -> Iterator[Person]:
    """An attacker with a key; one for all inputs, so that what one input breaks is noticed by the next."""
    with nobody_else(server, sandbox_server, "mallory's team") as mallory:
        yield mallory


@pytest.fixture
def admin(clean: str) -> Iterator[OpenAI]:
    """The operator, with the SDK's administration client: strict, without retries."""
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "operator")
    with OpenAI(
        base_url=clean, api_key="", admin_api_key=secret, max_retries=0, _strict_response_validation=True
    ) as admin:
        yield admin
