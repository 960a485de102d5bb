"""Rows: the types of their columns, and claims, which give a row to one worker at a time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy.exc import StatementError
from sqlmodel import col, select

from shared.database import transaction
from shared.datasets.models import Dataset, Purpose
from shared.db.claims import claim, make_due, release, still_held
from shared.db.times import utc_now
from tests.world import Person, row

LEASE = timedelta(minutes=1)


def dataset(person: Person, **values: Any) -> Dataset:
    return Dataset(project_id=person.project_id, filename="a", bytes=1, sha256="0", purpose=Purpose.FINE_TUNE, **values)


def made(person: Person, **values: Any) -> str:
    with transaction() as session:
        new = dataset(person, **values)
        session.add(new)
    return new.id


def claimed(id: str, lease: timedelta = LEASE) -> Dataset | None:
    with transaction() as session:
        return claim(session, Dataset, col(Dataset.id) == id, lease)


def test_a_naive_time_is_refused(alice: Person) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(StatementError, match="naive"):
        made(alice, expires_at=naive)


def test_a_time_in_another_zone_is_stored_as_the_same_moment(alice: Person) -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=9)))
    kept = row(Dataset, made(alice, expires_at=moment)).expires_at
    assert kept == moment
    assert kept.utcoffset() is not None


def test_fourteen_threads_on_twenty_rows_make_twenty_claims(alice: Person) -> None:
    ids = [made(alice) for _ in range(20)]

    def take_all(_: int) -> list[str]:
        return [id for id in ids if claimed(id) is not None]

    with ThreadPoolExecutor(14) as threads:
        claims = [id for of_one in threads.map(take_all, range(14)) for id in of_one]
    assert sorted(claims) == ids
    assert [row(Dataset, id).failures for id in ids] == [1] * 20


def test_a_row_that_is_not_due_cannot_be_claimed(alice: Person) -> None:
    assert claimed(made(alice, due_at=None)) is None
    assert claimed(made(alice, due_at=utc_now() + timedelta(seconds=60))) is None
    assert claimed("file-never") is None


def test_a_claim_counts_the_attempt_and_sets_the_lease(alice: Person) -> None:
    id = made(alice)
    taken = claimed(id)
    assert taken is not None
    kept = row(Dataset, id)
    assert (kept.failures, kept.due_at) == (1, taken.due_at)
    assert timedelta(seconds=50) < kept.due_at - utc_now() <= LEASE


def test_after_an_expired_lease_another_claims_the_row_and_the_first_cannot_record(alice: Person) -> None:
    id = made(alice)
    late = claimed(id, timedelta())
    prompt = claimed(id)
    assert late is not None
    assert prompt is not None
    with transaction() as session:
        assert still_held(session, late) is None
        held = still_held(session, prompt)
        assert held is not None
        release(held, None)
    assert (row(Dataset, id).due_at, row(Dataset, id).failures) == (None, 0)


def test_making_a_claimed_row_due_keeps_its_lease(alice: Person) -> None:
    id = made(alice)
    taken = claimed(id)
    assert taken is not None
    with transaction() as session:
        make_due(session, session.get_one(Dataset, id))
    assert row(Dataset, id).due_at == taken.due_at
    with transaction() as session:
        assert still_held(session, taken) is not None


def test_making_an_idle_row_due_lets_it_be_claimed_at_once(alice: Person) -> None:
    id = made(alice, due_at=None)
    with transaction() as session:
        make_due(session, session.get_one(Dataset, id))
    assert row(Dataset, id).due_at <= utc_now()
    assert claimed(id) is not None


def test_a_row_that_is_made_due_while_its_step_ends_is_due(alice: Person) -> None:
    """The request has read the row while a worker held it, and the worker's record commits before the request's."""
    id = made(alice)
    taken = claimed(id)
    assert taken is not None
    with transaction() as request:
        read = request.get_one(Dataset, id)
        with transaction() as step:
            held = still_held(step, taken)
            assert held is not None
            release(held, utc_now() + timedelta(hours=1))
        make_due(request, read)
    assert row(Dataset, id).due_at <= utc_now()


def test_a_row_that_is_made_due_while_a_worker_claims_it_keeps_its_lease(alice: Person) -> None:
    id = made(alice)
    with transaction() as request:
        read = request.get_one(Dataset, id)
        taken = claimed(id)
        assert taken is not None
        make_due(request, read)
    assert row(Dataset, id).due_at == taken.due_at


def test_a_failed_transaction_leaves_nothing_behind(alice: Person) -> None:
    def begin_and_fail() -> None:
        with transaction() as session:
            session.add(dataset(alice))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin_and_fail()
    with transaction() as session:
        assert session.exec(select(Dataset).where(col(Dataset.project_id) == alice.project_id)).all() == []


def test_an_enum_comes_back_as_its_member(alice: Person) -> None:
    kept = row(Dataset, made(alice))
    assert kept.purpose is Purpose.FINE_TUNE
    assert kept.created_at.astimezone(UTC) <= utc_now()
