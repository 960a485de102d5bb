"""GET /v1/fine_tuning/jobs with filters, and GET /v1/files with a name."""

from datetime import timedelta
from typing import Any

import pytest

from shared.database import transaction
from shared.db.times import epoch
from shared.jobs.models import Job, JobStatus
from tests.world import Person


@pytest.fixture
def jobs(alice: Person, bob: Person) -> dict[str, str]:
    """Alice's jobs, oldest first, by what they are; and one of Bob's that fits every filter."""
    file_id = alice.upload()
    ids = {
        name: alice.create_job(training_file=file_id, model=model, metadata={"for": name})
        for name, model in [
            ("old", "gpt-4o-mini"),
            ("failed", "gpt-4o-mini"),
            ("large", "gpt-4.1"),
            ("cancelled", "gpt-4.1"),
        ]
    }
    bob.create_job()
    alice.openai.fine_tuning.jobs.cancel(ids["cancelled"])
    with transaction() as session:
        session.get_one(Job, ids["failed"]).status = JobStatus.FAILED
    return ids


def listed(person: Person, jobs: dict[str, str], query: Any) -> set[str]:
    answer = person.http.get("/fine_tuning/jobs", params=query)
    assert answer.status_code == 200, answer.text
    names = {id: name for name, id in jobs.items()}
    return {names[job["id"]] for job in answer.json()["data"]}


FILTERS: list[tuple[list[tuple[str, str]], set[str]]] = [
    ([("status", "failed")], {"failed"}),
    ([("status", "failed"), ("status", "cancelled")], {"failed", "cancelled"}),
    ([("status", "succeeded")], set()),
    ([("model", "gpt-4.1")], {"large", "cancelled"}),
    ([("model", "gpt-4.1"), ("status", "cancelled")], {"cancelled"}),
    ([("model", "gpt-4.1"), ("model", "gpt-4o-mini"), ("metadata[for]", "old")], {"old"}),
    ([("model", "nothing")], set()),
]


@pytest.mark.parametrize(("query", "found"), FILTERS)
def test_jobs_are_found_by_what_they_are(
    alice: Person, jobs: dict[str, str], query: list[tuple[str, str]], found: set[str]
) -> None:
    assert listed(alice, jobs, query) == found


SPACING = 2  # seconds between the jobs: less than an id may differ from `created_at`
RANGES: list[tuple[dict[str, int], set[str]]] = [  # in seconds after the oldest
    ({"gte": 0}, {"old", "failed", "large", "cancelled"}),
    ({"gt": 0}, {"failed", "large", "cancelled"}),
    ({"lt": 0}, set()),
    ({"lte": 0}, {"old"}),
    ({"gt": 0, "lt": 4}, {"failed"}),
    ({"gte": 2, "lte": 4}, {"failed", "large"}),
    ({"gte": 0, "gt": 4}, {"cancelled"}),
    ({"gte": 3600}, set()),
    ({"lt": -3600}, set()),
]


@pytest.mark.parametrize(("bounds", "found"), RANGES)
def test_jobs_are_found_by_when_they_were_made(
    alice: Person, jobs: dict[str, str], bounds: dict[str, int], found: set[str]
) -> None:
    with transaction() as session:
        oldest = session.get_one(Job, jobs["old"]).created_at
        for position, id in enumerate(jobs.values()):
            session.get_one(Job, id).created_at = oldest + timedelta(seconds=SPACING * position)
    query = {f"created_at[{name}]": epoch(oldest) + seconds for name, seconds in bounds.items()}
    assert listed(alice, jobs, query) == found


@pytest.mark.parametrize("seconds", [0, 253_402_300_000])
@pytest.mark.parametrize("bound", ["gt", "gte", "lt", "lte"])
def test_the_first_and_the_last_time_are_answered(alice: Person, bound: str, seconds: int) -> None:
    assert listed(alice, {}, {f"created_at[{bound}]": seconds}) == set()


def test_filters_go_with_pages(alice: Person, jobs: dict[str, str]) -> None:
    found = alice.openai.fine_tuning.jobs.list(limit=1, extra_query={"model": "gpt-4.1"})
    assert found.has_more
    assert [job.id for job in found] == [jobs["cancelled"], jobs["large"]]


def test_files_are_found_by_name_and_purpose(alice: Person, bob: Person) -> None:
    ids = {name: alice.upload(name=name) for name in ("a.jsonl", "b.jsonl", "B.jsonl")}
    bob.upload(name="b.jsonl")
    assert [file.id for file in alice.openai.files.list(extra_query={"filename": "b.jsonl"})] == [ids["b.jsonl"]]
    assert alice.openai.files.list(purpose="batch", extra_query={"filename": "b.jsonl"}).data == []
    assert alice.openai.files.list(extra_query={"filename": "c.jsonl"}).data == []
