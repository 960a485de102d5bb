"""A POST that OpenAI's SDK repeats after a lost answer is carried out once, also without an Idempotency-Key."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from shared import idempotency
from shared.database import transaction
from shared.db.times import utc_now
from shared.idempotency import StoredAnswer
from tests.api.keyed_requests import AN_ANSWER, AN_ID, stored_answers_locked, until_somebody_waits_for
from tests.world import Person


def post(person: Person, count: int | str | None, **body: Any) -> httpx2.Response:
    headers = {} if count is None else {"x-stainless-retry-count": str(count)}
    return person.http.post("/fine_tuning/jobs", json={"model": "gpt-4o-mini", **body}, headers=headers)


def ids_of(person: Person) -> list[str]:
    return [job.id for job in person.openai.fine_tuning.jobs.list()]


def test_a_repeated_create_returns_the_first_job(alice: Person) -> None:
    file_id = alice.upload()
    first = post(alice, 0, training_file=file_id, suffix="retry")
    for count in (1, 2):
        again = post(alice, count, training_file=file_id, suffix="retry")
        assert (again.status_code, again.json(), again.headers["idempotent-replayed"]) == (200, first.json(), "true")
    assert ids_of(alice) == [first.json()["id"]]


@pytest.mark.parametrize("count", [0, None, "-1", "x", "9" * 5000])
def test_a_request_that_is_no_repetition_is_carried_out(alice: Person, count: int | str | None) -> None:
    file_id = alice.upload()
    for each in (0, count):
        post(alice, each, training_file=file_id).raise_for_status()
    assert len(ids_of(alice)) == 2


def test_the_newest_of_equal_requests_is_the_one_that_is_repeated(alice: Person) -> None:
    file_id = alice.upload()
    post(alice, 0, training_file=file_id)
    second = post(alice, 0, training_file=file_id)
    assert post(alice, 1, training_file=file_id).json() == second.json()


def test_another_body_another_project_or_a_later_time_is_another_request(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = alice.upload()
    post(alice, 0, training_file=file_id)
    post(alice, 1, training_file=file_id, suffix="other").raise_for_status()
    assert post(bob, 1, training_file=file_id).status_code == 404
    monkeypatch.setattr(idempotency, "utc_now", lambda: utc_now() + timedelta(minutes=11))
    post(alice, 1, training_file=file_id).raise_for_status()
    assert len(ids_of(alice)) == 3


def test_a_repetition_of_a_refused_request_is_judged_anew(alice: Person) -> None:
    assert post(alice, 0, training_file="file-never").status_code == 404
    assert post(alice, 1, training_file="file-never").status_code == 404
    post(alice, 1, training_file=alice.upload()).raise_for_status()


def test_a_repetition_waits_for_the_first_that_is_still_being_processed(alice: Person) -> None:
    file_id = alice.upload()
    with ThreadPoolExecutor() as pool:
        with stored_answers_locked():
            first = pool.submit(post, alice, 0, training_file=file_id)
            until_somebody_waits_for(AN_ANSWER)
            repeated = pool.submit(post, alice, 1, training_file=file_id)
            until_somebody_waits_for(AN_ID)
        assert repeated.result().json() == first.result().json()
    assert ids_of(alice) == [first.result().json()["id"]]


def test_the_stored_answers_of_a_key_are_bounded(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "REPEATED_ANSWERS_PER_KEY", 3)
    file_id = alice.upload()
    for number in range(12):
        post(alice, 0, training_file=file_id, seed=number).raise_for_status()
    with transaction() as session:
        assert len(session.exec(select(StoredAnswer)).all()) <= 3 + 3  # those of the upload and of the jobs
