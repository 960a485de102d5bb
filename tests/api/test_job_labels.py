"""Jobs are found by their metadata, also by the longest, and by no other project."""

from tests.world import Person


def found(person: Person, **metadata: str) -> list[str]:
    query = {f"metadata[{key}]": value for key, value in metadata.items()}
    answer = person.http.get("/fine_tuning/jobs", params=query).json()
    return [job["id"] for job in answer["data"]]


def test_the_longest_key_and_value_find_their_job(alice: Person, bob: Person) -> None:
    key, value = "🔑" * 64, "🎛" * 512
    job_id = alice.create_job(metadata={key: value, "team": "a"})
    alice.create_job(metadata={key: "another", "team": "a"})
    bob.create_job(metadata={key: value})
    assert found(alice, **{key: value}) == [job_id]
    assert found(alice, **{key: value}, team="a") == [job_id]
    assert found(alice, **{key: value}, team="b") == []


def test_jobs_are_found_newest_first_and_page_by_page(alice: Person) -> None:
    file_id = alice.upload()
    ids = [alice.create_job(training_file=file_id, metadata={"team": "a", "run": str(run)}) for run in range(3)]
    assert found(alice, team="a") == ids[::-1]
    page = alice.http.get("/fine_tuning/jobs", params={"metadata[team]": "a", "after": ids[2], "limit": 1}).json()
    assert ([job["id"] for job in page["data"]], page["has_more"]) == ([ids[1]], True)
