"""Reads without entities: the same values as entities have, of the same project, over connections that are replaced."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import psycopg
import pytest
from pydantic import ValidationError
from sqlalchemy import inspect
from sqlalchemy.exc import DataError, OperationalError

from api import reads, round_trips
from api.reads import Query
from api.round_trips import MANY_ROWS, Statement
from shared.database import get_engine, transaction
from shared.datasets.models import Dataset
from shared.datasets.schemas import FilePublic
from shared.db import connections
from shared.db.owned import get_owned
from shared.db.tables import Owned
from shared.errors import NotFound
from shared.jobs.models import Job, JobEvent
from shared.jobs.schemas import JobEventPublic, JobPublic
from shared.settings import get_settings
from tests.servers import until
from tests.world import Person

IDS: tuple[Query, dict[str, str]] = (
    Query(b"select id from jobs", (), {}, prepared=True),
    {},
)  # one that has forgotten the project
Found = TypeVar("Found")


def run(read: Coroutine[Any, Any, Found]) -> Found:
    async def run_and_close() -> Found:
        try:
            return await read
        finally:
            await round_trips.close()

    return asyncio.run(run_and_close())


async def ask(text: bytes, *values: Any) -> list[Any]:
    """The first column of each row."""
    [rows] = await round_trips.ask(Statement(text, values))
    return [row[0] for row in rows]


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
        row = run(reads.one(model, id, alice.project_id))
        with transaction(alice.project_id) as session:
            assert columns(model, row) == columns(model, get_owned(session, model, id, alice.project_id))


@pytest.mark.parametrize(("model", "public"), [(Job, JobPublic), (JobEvent, JobEventPublic), (Dataset, FilePublic)])
def test_what_is_made_of_a_row_is_what_its_check_makes_of_it(alice: Person, model: type[Owned], public: Any) -> None:
    ids = make(alice)
    with transaction(alice.project_id) as session:
        job = get_owned(session, Job, ids[Job], alice.project_id)
        job.loss_summary, job.step, job.total_steps, job.check_progress = {"valid_loss": 1}, 1, 1, 0.0
    made = public.of(run(reads.one(model, ids[model], alice.project_id)))
    assert made.model_dump_json() == public.model_validate_json(made.model_dump_json()).model_dump_json()
    assert list(made.__dict__) == list(public.model_fields)
    with pytest.raises(ValidationError):
        public.model_validate({**made.model_dump(), "created_at": "yesterday"})


def test_a_page_has_the_same_rows(alice: Person) -> None:
    ids = [make(alice)[Job] for _ in range(3)]
    pages = [
        run(reads.page(Job, alice.project_id, after=None, limit=1)),
        run(reads.page(Job, alice.project_id, after=ids[2], limit=1)),
    ]
    assert [[row.id for row in page] for page in pages] == [[ids[2], ids[1]], [ids[1], ids[0]]]


def test_postgres_shows_no_other_project(alice: Person, bob: Person) -> None:
    id = make(alice)[Job]
    assert run(reads._ask(alice.project_id, IDS)) == [[(id,)]]
    assert run(reads._ask(bob.project_id, IDS)) == [[]]
    with pytest.raises(NotFound):
        run(reads.one(Job, id, bob.project_id))


def test_a_connection_goes_back_unlimited(alice: Person) -> None:
    async def of_one_connection() -> list[Any]:
        who = b"select array[pg_backend_pid()::text, current_user, current_setting('tunery.project', true)]"
        [[[limited]]] = await reads._ask(alice.project_id, (Query(who, (), {}, prepared=True), {}))
        return [limited, *await ask(who)]

    (pid, role, project), (pid_after, role_after, project_after) = run(of_one_connection())
    assert (role, project) == ("tunery_app", alice.project_id)
    assert pid == pid_after
    assert (role_after == "tunery_app", project_after or None) == (False, None)


def test_reads_open_no_more_connections_than_their_part(clean: str) -> None:
    async def many() -> list[list[Any]]:
        return await asyncio.gather(*(ask(b"select array[$1::int, pg_backend_pid()]", each) for each in range(200)))

    answers = run(many())
    assert [number for [[number, _]] in answers] == list(range(200))
    used = {pid for [[_, pid]] in answers}
    assert 1 < len(used) <= connections.of_reads(get_settings().api_connections)


def test_many_rows_and_long_values_are_read(clean: str) -> None:
    count, length = MANY_ROWS + 1, 32 << 20  # more than the system takes at once
    assert run(ask(b"select generate_series(1, $1::int)", count)) == list(range(1, count + 1))
    assert run(ask(b"select length($1::text)", "x" * length)) == [length]


def test_work_on_many_rows_leaves_the_loop_to_others() -> None:
    few, many = (run(round_trips.worked(threading.get_ident, rows)) for rows in (MANY_ROWS, MANY_ROWS + 1))
    assert (few == threading.get_ident(), many == threading.get_ident()) == (True, False)


def test_a_failed_query_spoils_no_connection(alice: Person) -> None:
    id = make(alice)[Job]

    async def fail_and_read() -> str:
        for _ in range(50):  # more than the connections
            with pytest.raises(DataError):
                await round_trips.ask(Statement(b"select 1 / 0", ()), Statement(b"select 1", ()))
        return (await reads.one(Job, id, alice.project_id)).id

    assert run(fail_and_read()) == id


def test_text_that_postgres_cannot_store_is_refused(clean: str) -> None:
    with pytest.raises(DataError):
        run(ask(b"select $1::text", "before\0after"))


def test_after_a_cancelled_read_the_next_one_gets_its_own_rows(clean: str) -> None:
    async def cancel_and_read() -> list[Any]:
        cancelled = asyncio.create_task(ask(b"select 'of the first' from pg_sleep(0.1)"))
        await asyncio.sleep(0.05)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        return await ask(b"select 'of the second'")

    assert run(cancel_and_read()) == ["of the second"]


def test_connections_that_postgres_has_closed_are_replaced(alice: Person) -> None:
    id = make(alice)[Job]

    async def read_twice() -> str:
        await reads.one(Job, id, alice.project_id)
        end_connections()  # without letting the loop see it
        return (await reads.one(Job, id, alice.project_id)).id

    assert run(read_twice()) == id
    assert alice.openai.with_options(max_retries=0).fine_tuning.jobs.retrieve(id).id == id


def test_a_read_whose_connection_ends_fails_and_the_next_one_does_not(clean: str) -> None:
    async def read_twice() -> list[Any]:
        first = asyncio.create_task(ask(b"select 1 from pg_sleep(1000)"))
        await asyncio.to_thread(until, lambda: end_connections("query like '%pg_sleep(1000)%' and state = 'active'"))
        with pytest.raises(OperationalError):
            await first
        return await ask(b"select 2")

    assert run(read_twice()) == [2]


def end_connections(which: str = "true") -> int:
    """End the servers' connections to Postgres, wait until they have ended, and return how many there were."""
    url = get_engine().url.set(drivername="postgresql").render_as_string(hide_password=False)
    mine = "application_name = 'tunery' and datname = current_database() and pid <> pg_backend_pid()"
    ended = f"select pg_terminate_backend(pid, 10_000) from pg_stat_activity where {mine} and {which}"
    with psycopg.connect(url, autocommit=True) as connection:
        return len(connection.execute(ended.encode()).fetchall())


def test_the_curve_of_a_job_stays_in_postgres(alice: Person) -> None:
    id = make(alice)[Job]
    with transaction(alice.project_id) as session:
        job = get_owned(session, Job, id, alice.project_id)
        job.loss_summary = {"train_loss": [[1, 2.0]], "valid_loss": 0.5, "full_valid_loss": None}
    assert run(reads.one(Job, id, alice.project_id)).loss_summary == {"valid_loss": 0.5, "full_valid_loss": None}
    assert alice.openai.fine_tuning.jobs.retrieve(id).to_dict()["best_valid_loss"] == 0.5
