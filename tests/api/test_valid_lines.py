"""The lines of a dataset that are right, and the filters of the list of datasets."""

from tests.world import Person, lines, work

WRONG = b'{"messages": \n{"messages": [{"role": "robot", "content": "a"}]}\n'


def test_the_lines_without_an_error_are_downloaded_in_their_order(alice: Person) -> None:
    good = lines(12).splitlines(keepends=True)
    file = alice.upload(b"".join([*good[:5], WRONG, *good[5:]]))
    work()
    answer = alice.http.get(f"/datasets/{file}/valid.jsonl")
    assert answer.content == lines(12)
    assert answer.headers["content-type"].startswith("application/jsonl")
    again = alice.upload(answer.content)
    work()
    assert alice.http.get(f"/datasets/{again}").json()["valid"]


def test_they_are_refused_before_the_check_and_beyond_the_errors_that_are_kept(alice: Person) -> None:
    file = alice.upload(lines(12) + WRONG * 600)
    assert alice.http.get(f"/datasets/{file}/valid.jsonl").json()["error"]["code"] == "dataset_not_checked"
    work()
    assert alice.http.get(f"/datasets/{file}/valid.jsonl").json()["error"]["code"] == "invalid_training_file"


def test_another_projects_lines_are_not_found(alice: Person, bob: Person) -> None:
    file = alice.upload()
    work()
    assert bob.http.get(f"/datasets/{file}/valid.jsonl").status_code == 404


def test_the_list_is_filtered_by_status_and_by_a_part_of_the_name(alice: Person) -> None:
    good, wrong = alice.upload(name="Support_1.jsonl"), alice.upload(lines() + WRONG, name="sales.jsonl")
    work()
    waiting = alice.upload(name="later.jsonl")

    def listed(**query: str) -> list[str]:
        return [each["id"] for each in alice.http.get("/datasets", params=query).json()["data"]]

    assert listed(status="processed") == [good]
    assert listed(status="error") == [wrong]
    assert listed(status="uploaded") == [waiting]
    assert listed(name="support_") == [good]
    assert listed(name="%") == []
