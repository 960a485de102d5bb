"""A person for all tests of a module, for modules whose tests change nothing that the others read."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.database import transaction
from shared.projects import service as projects
from tests.world import Person


@contextmanager
def module_person(server: str, project: str) -> Iterator[Person]:
    """Yield a person with an API key of a new project."""
    with transaction() as session:
        made = projects.create_project(session, project)
        _, secret = projects.create_api_key(session, made.id, "test")
    person = Person(server, secret, made.id)
    yield person
    person.close()
