"""GET /v1/files."""

from typing import Any, Literal

import pytest
from openai import BadRequestError, NotFoundError

from shared.database import transaction
from shared.datasets.models import Dataset, Purpose
from shared.projects import rate_limits
from shared.projects.rate_limits import RateLimitUpdate
from tests.api.test_rate_limits import within_a_minute
from tests.world import Person


def test_a_new_project_has_no_files(alice: Person) -> None:
    answer = alice.http.get("/files").json()
    assert answer == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def test_the_newest_comes_first(alice: Person) -> None:
    ids = [alice.upload(name=f"{number}.jsonl") for number in range(3)]
    assert [file.id for file in alice.openai.files.list()] == ids[::-1]
    assert [file.id for file in alice.openai.files.list(order="asc")] == ids


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_follow_each_other_to_the_end(alice: Person, order: Literal["asc", "desc"]) -> None:
    ids = sorted((alice.upload() for _ in range(5)), reverse=order == "desc")
    first = alice.http.get("/files", params={"limit": 2, "order": order}).json()
    assert (first["first_id"], first["last_id"], first["has_more"]) == (ids[0], ids[1], True)
    assert [file.id for file in alice.openai.files.list(limit=2, order=order)] == ids


def test_the_last_page_says_that_it_is_the_last(alice: Person) -> None:
    ids = [alice.upload() for _ in range(2)]
    assert alice.openai.files.list(limit=2).has_more is False
    assert alice.openai.files.list(limit=2, after=ids[0]).data == []


def test_a_file_that_was_deleted_meanwhile_is_still_a_cursor(alice: Person) -> None:
    ids = [alice.upload() for _ in range(3)]
    alice.openai.files.delete(ids[1])
    assert [file.id for file in alice.openai.files.list(after=ids[1])] == [ids[0]]


def test_only_files_of_a_purpose_are_listed(alice: Person) -> None:
    alice.upload()
    wanted = alice.openai.files.create(file=("a", b"a"), purpose="batch").id
    assert [file.id for file in alice.openai.files.list(purpose="batch")] == [wanted]


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "0"), ("limit", "10001"), ("limit", "many"), ("limit", ""), ("order", "up"), ("purpose", "fun")],
)
def test_a_wrong_parameter_is_named(alice: Person, name: str, value: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        alice.openai.files.list(extra_query={name: value})
    assert refused.value.param == name


def test_a_cursor_that_never_was_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError) as refused:
        alice.openai.files.list(after="file-never")
    assert refused.value.param == "after"


def test_each_hundred_files_count_as_one_request(alice: Person, bob: Person) -> None:
    def spent(person: Person, **query: Any) -> int:
        before, after = (
            int(person.http.get("/files", params=each).headers["x-ratelimit-remaining-requests"])
            for each in ({"limit": 1}, query)
        )
        return before - after

    limits = {"max_requests_per_1_minute": 100_000}
    with transaction() as session:
        for person in (alice, bob):
            update = RateLimitUpdate.model_validate(limits)
            rate_limits.update_rate_limit(session, person.project_id, f"rl-{person.project_id}", update)
        values: dict[str, Any] = {"project_id": alice.project_id, "filename": "a.txt", "bytes": 1, "sha256": ""}
        session.add_all(Dataset(**values, purpose=Purpose.USER_DATA, due_at=None) for _ in range(450))
    within_a_minute()
    assert (spent(alice, limit=100), spent(alice, limit=450), spent(alice)) == (1, 5, 5)
    assert spent(bob) == 1
