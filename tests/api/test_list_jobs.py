"""GET /v1/fine_tuning/jobs."""

import pytest
from openai import BadRequestError, NotFoundError

from tests.world import Person


@pytest.fixture
def jobs(alice: Person) -> dict[str, str]:
    """Jobs of one file, by what their metadata is about."""
    file_id = alice.upload()
    told = {
        "none": None,
        "empty": {},
        "red": {"colour": "red"},
        "red and big": {"colour": "red", "size": "big"},
        "blank": {"colour": ""},
        "odd": {"[a]=b&c%": "d[e]=f&"},
    }
    return {name: alice.create_job(training_file=file_id, metadata=metadata) for name, metadata in told.items()}


def listed(person: Person, **query: str) -> list[str]:
    answer = person.http.get("/fine_tuning/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["data"]]


def test_a_new_project_has_no_jobs(alice: Person) -> None:
    answer = alice.http.get("/fine_tuning/jobs").json()
    assert (answer["object"], answer["data"], answer["has_more"]) == ("list", [], False)


def test_pages_follow_each_other_to_the_end(alice: Person, jobs: dict[str, str]) -> None:
    newest_first = list(jobs.values())[::-1]
    assert [job.id for job in alice.openai.fine_tuning.jobs.list(limit=2)] == newest_first
    assert [job.id for job in alice.openai.fine_tuning.jobs.list(limit=4).data] == newest_first[:4]


def test_twenty_are_on_a_page_unless_said_otherwise(alice: Person) -> None:
    file_id = alice.upload()
    ids = [alice.create_job(training_file=file_id) for _ in range(21)]
    page = alice.openai.fine_tuning.jobs.list()
    assert (len(page.data), page.has_more) == (20, True)
    assert [job.id for job in page] == ids[::-1]


def test_jobs_are_found_by_their_metadata(alice: Person, jobs: dict[str, str]) -> None:
    found = alice.openai.fine_tuning.jobs.list(metadata={"colour": "red"})
    assert [job.id for job in found] == [jobs["red and big"], jobs["red"]]
    found = alice.openai.fine_tuning.jobs.list(metadata={"colour": "red", "size": "big"})
    assert [job.id for job in found] == [jobs["red and big"]]
    assert alice.openai.fine_tuning.jobs.list(metadata={"colour": "green"}).data == []


def test_metadata_with_signs_of_the_query_is_found(alice: Person, jobs: dict[str, str]) -> None:
    [found] = alice.openai.fine_tuning.jobs.list(metadata={"[a]=b&c%": "d[e]=f&"})
    assert found.id == jobs["odd"]


def test_an_empty_value_is_a_value(alice: Person, jobs: dict[str, str]) -> None:
    assert listed(alice, **{"metadata[colour]": ""}) == [jobs["blank"]]


def test_null_finds_the_jobs_without_metadata(alice: Person, jobs: dict[str, str]) -> None:
    assert listed(alice, metadata="null") == [jobs["empty"], jobs["none"]]


def test_an_empty_filter_filters_nothing(alice: Person, jobs: dict[str, str]) -> None:
    assert len(list(alice.openai.fine_tuning.jobs.list(metadata={}))) == len(jobs)


def test_a_filter_goes_with_pages(alice: Person, jobs: dict[str, str]) -> None:
    found = alice.openai.fine_tuning.jobs.list(metadata={"colour": "red"}, limit=1)
    assert found.has_more
    assert [job.id for job in found] == [jobs["red and big"], jobs["red"]]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"metadata": "red"}, "metadata"),
        ({"metadata": "null", "metadata[a]": "b"}, "metadata"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"after": "a" * 65}, "after"),
        ({"status": "done"}, "status"),
        ({"model": "m" * 257}, "model"),
        ({"created_at[gte]": "-1"}, "created_at[gte]"),
        ({"created_at[lt]": "yesterday"}, "created_at[lt]"),
    ],
)
def test_a_wrong_parameter_is_named(alice: Person, query: dict[str, str], param: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        alice.openai.fine_tuning.jobs.list(extra_query=query)
    assert refused.value.param == param


def test_a_cursor_that_never_was_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError) as refused:
        alice.openai.fine_tuning.jobs.list(after="ftjob-never")
    assert refused.value.param == "after"
