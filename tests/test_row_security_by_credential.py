"""Queues and watches name a credential, not a project: a project reaches those of its own and of the deployment."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import Session

from shared.database import transaction
from shared.db.ids import new_id
from shared.jobs.models import Watch
from shared.jobs.queue.models import JobQueue
from shared.projects import service as projects
from shared.projects.models import Credential
from tests.world import Person, empty_tables

TABLES = ("job_queues", "watches")


@pytest.fixture
def credentials(alice: Person, bob: Person) -> Iterator[dict[str, str]]:
    """A credential of each project and the deployment's, by whom they belong to, each with a queue and a watch."""
    with transaction() as session:
        found = {"deployment": projects.default_credential(session).id}
        for name, person in (("alice", alice), ("bob", bob)):
            row = Credential(project_id=person.project_id, name=name, provider="openai", base_url="http://x")
            session.add(row)
            found[name] = row.id
        session.flush()
        session.execute(text("delete from job_queues; delete from watches"))
        for id in found.values():
            session.add_all([JobQueue(credential_id=id, model="m", due_at=None), Watch(credential_id=id, due_at=None)])
    yield found
    empty_tables()


def seen(session: Session, table: str) -> set[str]:
    return set(session.execute(text(f"select credential_id from {table}")).scalars())


@pytest.mark.parametrize("table", TABLES)
def test_a_project_sees_those_of_its_own_credentials_and_of_the_deployments(
    credentials: dict[str, str], alice: Person, table: str
) -> None:
    with transaction(alice.project_id) as session:
        assert seen(session, table) == {credentials["alice"], credentials["deployment"]}
    with transaction("proj_none") as session:
        assert seen(session, table) == {credentials["deployment"]}
    with transaction() as session:
        assert seen(session, table) == {*credentials.values()}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", ["update {} set failures = 9", "delete from {}"])
def test_a_project_changes_none_of_another_projects_credentials(
    credentials: dict[str, str], alice: Person, table: str, change: str
) -> None:
    with transaction(alice.project_id) as session:
        changed = session.execute(text(f"{change.format(table)} where credential_id = :id"), {"id": credentials["bob"]})
        assert getattr(changed, "rowcount", -1) == 0


def test_a_project_adds_none_to_another_projects_credential(credentials: dict[str, str], alice: Person) -> None:
    for owner, is_allowed in (("deployment", True), ("alice", True), ("bob", False)):
        new = JobQueue(id=new_id("queue_"), credential_id=credentials[owner], model="another", due_at=None)
        if is_allowed:
            with transaction(alice.project_id) as session:
                session.add(new)
        else:
            with pytest.raises(ProgrammingError, match="row-level security"), transaction(alice.project_id) as session:
                session.add(new)
