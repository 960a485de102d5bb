"""A session that is limited to a project sees and writes only that project's rows, however its query is written."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, select

from shared.database import transaction
from shared.datasets.models import Dataset, Purpose
from shared.db.row_security import across_projects, limit_to_project
from tests.world import Person

Query = Callable[[Session], int]
BY_ORM: Query = lambda session: len(session.exec(select(Dataset.id)).all())  # noqa: E731
BY_SQL: Query = lambda session: len(session.connection().execute(text("select id from datasets")).all())  # noqa: E731


def add_dataset(session: Session, project_id: str) -> None:
    session.add(Dataset(project_id=project_id, filename="a.jsonl", bytes=0, sha256="", purpose=Purpose.EVALS))
    session.flush()


@pytest.fixture
def three(alice: Person, bob: Person) -> None:
    """One dataset of Alice's project, and two of Bob's."""
    with transaction() as session:
        for person in (alice, bob, bob):
            add_dataset(session, person.project_id)


@pytest.mark.parametrize("count", [BY_ORM, BY_SQL], ids=["orm", "sql"])
def test_a_session_sees_the_rows_of_the_project_it_is_limited_to(
    three: None, alice: Person, bob: Person, count: Query
) -> None:
    seen = []
    for project_id in (alice.project_id, bob.project_id, "proj_none", None):
        with transaction(project_id) as session:
            seen.append(count(session))
    assert seen == [1, 2, 0, 3]


@pytest.mark.parametrize("count", [BY_ORM, BY_SQL], ids=["orm", "sql"])
def test_the_limit_can_be_set_later_and_lifted_for_a_block(three: None, alice: Person, count: Query) -> None:
    with transaction() as session:
        seen = [count(session)]
        limit_to_project(session, alice.project_id)
        seen.append(count(session))
        with across_projects(session):
            seen.append(count(session))
        seen.append(count(session))
    with transaction() as session:
        seen.append(count(session))  # the limit ended with its transaction, though the connection is the same
    assert seen == [3, 1, 3, 1, 3]


def test_a_block_across_projects_changes_nothing_without_a_limit(three: None) -> None:
    with transaction() as session, across_projects(session):
        assert BY_ORM(session) == 3


def test_the_limit_is_set_again_when_the_block_raises(three: None, alice: Person) -> None:
    with transaction(alice.project_id) as session:
        with pytest.raises(KeyError), across_projects(session):
            raise KeyError
        assert BY_ORM(session) == 1


def test_what_is_pending_is_written_under_the_limit_that_held_when_it_was_added(alice: Person, bob: Person) -> None:
    with transaction(alice.project_id) as session:
        session.add(Dataset(project_id=bob.project_id, filename="a.jsonl", bytes=0, sha256="", purpose=Purpose.EVALS))
        with pytest.raises(DBAPIError, match="row-level security"), across_projects(session):
            pass
        session.rollback()


@pytest.mark.parametrize(("own", "allowed"), [(True, True), (False, False)])
def test_a_limited_session_cannot_write_a_row_of_another_project(
    alice: Person, bob: Person, own: bool, allowed: bool
) -> None:
    with transaction(alice.project_id) as session:
        if allowed:
            add_dataset(session, (alice if own else bob).project_id)
            return
        with pytest.raises(DBAPIError, match="row-level security"):
            add_dataset(session, bob.project_id)
        session.rollback()


@pytest.mark.parametrize(
    "statement",
    ["update datasets set filename = 'stolen'", "delete from datasets", "update datasets set bytes = bytes"],
)
def test_a_limited_session_changes_only_rows_of_its_project(three: None, alice: Person, statement: str) -> None:
    with transaction(alice.project_id) as session:
        assert session.connection().execute(text(statement)).rowcount == 1
