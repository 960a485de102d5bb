"""People who stay for a whole module, where what they have is not changed by any of its tests."""

from collections.abc import Iterator
from contextlib import contextmanager

from openai import OpenAI

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


@contextmanager
def admin_of(server: str, *, strict: bool = True) -> Iterator[OpenAI]:
    """The operator, with the SDK's own administration client."""
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "operator")
    with OpenAI(
        base_url=server, api_key="", admin_api_key=secret, max_retries=0, _strict_response_validation=strict
    ) as admin:
        yield admin
