"""A person for all tests of a module, for modules whose tests change nothing that the others read."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.database import transaction
from shared.projects import service as projects
from tests.world import Person, Sandbox, empty_tables


@contextmanager
def module_person(server: str, project: str) -> Iterator[Person]:
    """Yield a person with an API key of a new project."""
    with transaction() as session:
        made = projects.create_project(session, project)
        _, secret = projects.create_api_key(session, made.id, "test")
    person = Person(server, secret, made.id)
    yield person
    person.close()


@contextmanager
def nobody_else(server: str, sandbox: Sandbox, project: str) -> Iterator[Person]:
    """Yield such a person at a provider that knows nothing yet; afterwards the tables are empty."""
    sandbox.reset()
    with module_person(server, project) as person:
        yield person
    empty_tables()


@pytest.fixture(scope="module")
def alice(server: str, sandbox_server: Sandbox) -> Iterator[Person]:
    """One Alice for all tests of a module, of which none changes what others read. Import it to have it."""
    with nobody_else(server, sandbox_server, "alice's team") as alice:
        yield alice
