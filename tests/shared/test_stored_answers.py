"""The stored answers of `Idempotency-Key`: found, reserved, replaced after their lifetime, resealed and deleted."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from sqlmodel import Session, select

from shared import idempotency
from shared.database import transaction
from shared.db.times import utc_now
from shared.errors import KeyInUse
from shared.idempotency import StoredAnswer, answer_id, find_or_reserve, store
from shared.security.secrets import key_id, key_ids, seal, unseal
from shared.settings import get_settings
from tests.worker.support import settings
from tests.world import Person

ID = answer_id("proj_1", "key-1")
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@pytest.fixture
def session(clean: str) -> Iterator[Session]:
    with transaction() as session:
        yield session


def answer(id: str = ID, age: timedelta = timedelta(), status: int = 200) -> StoredAnswer:
    return StoredAnswer(
        id=id,
        created_at=utc_now() - age,
        request_sha256="0" * 64,
        status=status,
        content_type="application/json",
        sealed_body=seal("{}", id),
    )


@pytest.mark.parametrize(
    ("owner", "key"),
    [("proj_1", "key-2"), ("proj_2", "key-1"), ("proj_1", "key-1 "), ("proj_1", "Key-1"), ("", "proj_1")],
)
def test_another_owner_or_key_is_another_answer(owner: str, key: str) -> None:
    assert answer_id(owner, key) != ID
    assert answer_id("proj_1", "key-1") == ID


@pytest.mark.parametrize(
    ("age", "is_found"), [(timedelta(), True), (DAY - MINUTE, True), (DAY + MINUTE, False), (30 * DAY, False)]
)
def test_an_answer_is_found_and_protected_for_a_day(session: Session, age: timedelta, is_found: bool) -> None:
    assert get_settings().idempotency_lifetime == DAY
    store(session, answer(age=age))
    found = find_or_reserve(session, ID)
    assert (found is not None) == is_found
    if is_found:
        with pytest.raises(KeyInUse):
            store(session, answer(status=201))
    else:
        store(session, answer(status=201))
    assert session.exec(select(StoredAnswer.status)).all() == [200 if is_found else 201]


def test_a_key_is_reserved_by_one_transaction_until_that_ends(session: Session) -> None:
    assert find_or_reserve(session, ID) is None
    assert find_or_reserve(session, ID) is None  # the same transaction may ask again
    with transaction() as other:
        assert find_or_reserve(other, answer_id("proj_2", "key-1")) is None
        with pytest.raises(KeyInUse):
            find_or_reserve(other, ID)
    session.rollback()
    with transaction() as other:
        assert find_or_reserve(other, ID) is None


def test_an_answer_belongs_to_the_project_of_its_session(alice: Person, bob: Person) -> None:
    with transaction(alice.project_id) as session:
        store(session, answer())
    with transaction(bob.project_id) as session:
        assert find_or_reserve(session, ID) is None
    with transaction(alice.project_id) as session:
        found = find_or_reserve(session, ID)
        assert found is not None
        assert found.project_id == alice.project_id


def test_an_answer_from_before_answers_had_projects_is_found_and_one_for_an_admin_is_not(alice: Person) -> None:
    admins, olds = answer_id("key_1", "key-1"), answer_id("proj_1", "key-2")
    with transaction() as session:
        store(session, answer(admins))
        store(session, answer(olds, age=timedelta(days=3650)))
    with transaction(alice.project_id) as session:
        assert session.exec(select(StoredAnswer.id)).all() == [olds]


def test_only_answers_from_before_the_time_are_deleted(session: Session) -> None:
    for number, age in enumerate((timedelta(), DAY - MINUTE, DAY + MINUTE, 30 * DAY)):
        store(session, answer(answer_id("proj_1", str(number)), age))
    assert idempotency.delete_before(session, utc_now() - DAY) == 2
    assert idempotency.delete_before(session, utc_now() - DAY) == 0
    assert len(session.exec(select(StoredAnswer)).all()) == 2


def test_answers_are_resealed_with_the_first_key_and_one_that_no_key_opens_is_skipped(session: Session) -> None:
    old, new, lost = (Fernet.generate_key().decode() for _ in range(3))
    ids = sorted(answer_id("proj_1", key) for key in ("a", "b", "c"))
    for id, key in zip(ids, (old, lost, new), strict=True):
        with settings(TUNERY_SECRET_KEYS=json.dumps([key])):
            store(session, answer(id))
    with settings(TUNERY_SECRET_KEYS=json.dumps([new, old])):
        assert idempotency.reseal_after(session, "") == ids[-1]
        assert idempotency.reseal_after(session, ids[-1]) is None
        bodies = {row.id: row.sealed_body for row in session.exec(select(StoredAnswer))}
        assert [key_id(bodies[id]) == key_ids()[0] for id in ids] == [True, False, True]
        assert unseal(bodies[ids[0]], ids[0]) == "{}"
