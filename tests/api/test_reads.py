"""Reads without entities: the same values as entities have, of the same project, from a pool that mends itself."""

from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DataError

from api import reads
from shared.database import driver_connection, get_engine, transaction
from shared.datasets.models import Dataset
from shared.db.connections import KEPT_OPEN
from shared.db.owned import get_owned
from shared.db.tables import Owned
from shared.errors import NotFound
from shared.jobs.models import Job, JobEvent
from tests.world import Person

IDS = "select id from jobs"  # a query that has forgotten the project


def make(owner: Person) -> dict[type[Owned], str]:
    job = owner.openai.fine_tuning.jobs.create(training_file=owner.upload(), model="gpt-4o-mini-2024-07-18")
    event = JobEvent(project_id=owner.project_id, job_id=job.id, message="A step", data={"loss": 0.1, "steps": 10**20})
    with transaction(owner.project_id) as session:
        session.add(event)
    return {Job: job.id, Dataset: job.training_file, JobEvent: event.id}


def columns(model: type[Owned], row: Any) -> dict[str, tuple[type, Any]]:
    values = {attribute.key: getattr(row, attribute.key) for attribute in inspect(model).column_attrs}
    return {name: (type(value), value) for name, value in values.items()}


def test_a_row_has_the_values_of_the_entity(alice: Person) -> None:
    for model, id in make(alice).items():
        row = reads.one(model, id, alice.project_id)
        with transaction(alice.project_id) as session:
            assert columns(model, row) == columns(model, get_owned(session, model, id, alice.project_id))


def test_a_page_has_the_same_rows(alice: Person) -> None:
    ids = [make(alice)[Job] for _ in range(3)]
    pages = [
        reads.page(Job, alice.project_id, after=None, limit=1),
        reads.page(Job, alice.project_id, after=ids[2], limit=1),
    ]
    assert [[row.id for row in page] for page in pages] == [[ids[2], ids[1]], [ids[1], ids[0]]]


def test_postgres_shows_no_other_project(alice: Person, bob: Person) -> None:
    id = make(alice)[Job]
    assert reads._ask(alice.project_id, (IDS, {})) == [[(id,)]]
    assert reads._ask(bob.project_id, (IDS, {})) == [[]]
    with pytest.raises(NotFound):
        reads.one(Job, id, bob.project_id)


def test_a_connection_goes_back_unlimited(alice: Person) -> None:
    make(alice)
    reads._ask(alice.project_id, (IDS, {}))
    with get_engine().connect() as connection:
        role, project = connection.execute(text("select current_user, current_setting('tunery.project', true)")).one()
    assert (role == "tunery_app", project or None) == (False, None)


def test_a_failed_query_spoils_no_connection(alice: Person) -> None:
    id = make(alice)[Job]
    for _ in range(50):  # more than the pool has
        with pytest.raises(DataError):
            reads._ask(alice.project_id, ("select 1 / 0", {}), (IDS, {}))
    assert reads.one(Job, id, alice.project_id).id == id


def test_connections_that_postgres_has_closed_are_replaced(alice: Person) -> None:
    id = make(alice)[Job]
    reads.one(Job, id, alice.project_id)
    url = get_engine().url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        mine = "application_name = 'tunery' and datname = current_database()"
        connection.execute(f"select pg_terminate_backend(pid, 10_000) from pg_stat_activity where {mine}")  # and wait
    assert alice.openai.fine_tuning.jobs.retrieve(id).id == id


def test_a_connection_goes_back_as_sessions_need_it(alice: Person) -> None:
    """One that still committed each statement by itself would leave half of a later transaction."""
    reads._ask(alice.project_id, (IDS, {}))
    with ExitStack() as held:
        pooled = [held.enter_context(driver_connection()) for _ in range(KEPT_OPEN)]
        assert not any(connection.autocommit for connection in pooled)


def test_the_curve_of_a_job_stays_in_postgres(alice: Person) -> None:
    id = make(alice)[Job]
    with transaction(alice.project_id) as session:
        job = get_owned(session, Job, id, alice.project_id)
        job.loss_summary = {"train_loss": [[1, 2.0]], "valid_loss": 0.5, "full_valid_loss": None}
    assert reads.one(Job, id, alice.project_id).loss_summary == {"valid_loss": 0.5, "full_valid_loss": None}
    assert alice.openai.fine_tuning.jobs.retrieve(id).to_dict()["best_valid_loss"] == 0.5
