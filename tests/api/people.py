"""People who stay for a whole module, where what they have is not changed by any of its tests."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.database import transaction
from shared.projects import service as projects
from tests.world import Person


@contextmanager
def member(server: str, project: str) -> Iterator[Person]:
    """Somebody with a key of a new project."""
    with transaction() as session:
        made = projects.create_project(session, project)
        _, secret = projects.create_api_key(session, made.id, "test")
    person = Person(server, secret, made.id)
    yield person
    person.close()
