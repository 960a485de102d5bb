"""POST /v1/datasets: from a file, from examples, from an address, and split into two."""

import json
from typing import Any

import pytest

from shared.datasets.models import Dataset
from tests.api.datasets import BAD, create, show
from tests.servers import Receiver
from tests.worker.support import ids
from tests.world import Person, lines, row, work


def test_a_dataset_is_made_of_examples_in_the_request(alice: Person) -> None:
    example = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    made = create(alice, examples=[example] * 10, name="ten", metadata={"team": "a"})
    work()
    assert show(alice, made["id"])["status"] == "processed"
    assert alice.openai.files.content(made["id"]).content.count(b"\n") == 10


def test_a_dataset_is_fetched_from_an_address(alice: Person, receiver: Receiver) -> None:
    receiver.body = lines(11)
    made = create(alice, url=receiver.url)
    work(2)
    assert show(alice, made["id"])["examples"] == 11


def test_a_name_that_cannot_be_shown_is_refused_by_its_field(alice: Person) -> None:
    answer = alice.http.post("/datasets", json={"examples": [{}], "name": "a\u0001"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")


@pytest.mark.parametrize("url", ["http://10.0.0.1/train.jsonl", "https://169.254.169.254/x", "ftp://example.com/x"])
def test_an_address_within_the_network_is_refused(alice: Person, url: str) -> None:
    answer = alice.http.post("/datasets", json={"url": url})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "url")


def test_an_address_that_answers_nothing_good_ends_in_an_error(alice: Person, receiver: Receiver) -> None:
    receiver.answers = [404]
    made = create(alice, url=receiver.url)
    work(2)
    shown = show(alice, made["id"])
    assert (shown["status"], shown["status_details"]) == ("error", "The address could not be fetched: HTTP 404")


def test_a_redirect_is_not_followed_and_that_is_said(alice: Person, receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [302], {"location": receiver.url}
    made = create(alice, url=receiver.url)
    work(2)
    assert show(alice, made["id"])["status_details"].endswith("HTTP 302: redirects are not followed")


def test_a_split_makes_two_datasets_that_share_nothing(alice: Person) -> None:
    repeated = lines(40) + lines(10).upper().replace(b"MESSAGES", b"messages").replace(b"ROLE", b"role").replace(
        b"CONTENT", b"content"
    ).replace(b"USER", b"user").replace(b"ASSISTANT", b"assistant")
    made = create(alice, file_id=alice.upload(repeated), split={"fraction": 0.4, "seed": 7})
    work(3)
    training, validation = show(alice, made["training_dataset"]), show(alice, made["validation_dataset"])
    assert (training["status"], validation["status"]) == ("processed", "processed")
    assert training["examples"] + validation["examples"] == 50
    compared = show(alice, validation["id"], f"/compare?other={training['id']}")
    assert (compared["exact"], compared["near"]) == (0, 0)


@pytest.mark.parametrize("split", [{"count": 12}, {"count": 10_000}])
def test_a_split_that_leaves_nothing_for_training_is_refused(alice: Person, split: dict[str, Any]) -> None:
    file_id = alice.upload()
    work()
    for whole in ({"file_id": file_id}, {"examples": [json.loads(line) for line in lines().splitlines()]}):
        error = alice.http.post("/datasets", json={**whole, "split": split}).json()["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "split.count")
        assert "has 12 examples" in error["message"]
    assert ids(Dataset) == [file_id]


def test_both_parts_say_that_the_file_is_too_small_to_be_split(alice: Person) -> None:
    made = create(alice, file_id=alice.upload(), split={"count": 12})
    work(2)
    for part in ("training_dataset", "validation_dataset"):
        assert "has 12 examples" in show(alice, made[part])["status_details"]


def test_a_file_with_errors_is_not_split(alice: Person) -> None:
    file_id = alice.upload(lines(11) + BAD)
    work()
    error = alice.http.post("/datasets", json={"file_id": file_id, "split": {"count": 1}}).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_training_file", "file_id")
    assert f"GET /v1/datasets/{file_id}/errors" in error["message"]
    assert ids(Dataset) == [file_id]


@pytest.mark.parametrize(("seed", "validation"), [(0, 5), (7, 2)])
def test_thirty_times_the_same_stay_together_on_the_nearer_side(alice: Person, seed: int, validation: int) -> None:
    content = lines(1) * 30 + lines(31)[len(lines(1)) :]
    made = create(alice, file_id=alice.upload(content), split={"count": 5, "seed": seed})
    work(3)
    assert show(alice, made["validation_dataset"])["examples"] == validation
    assert show(alice, made["training_dataset"])["examples"] == 60 - validation


def test_examples_that_are_all_the_same_cannot_be_on_two_sides(alice: Person) -> None:
    made = create(alice, file_id=alice.upload(lines(1) * 12), split={"fraction": 0.5})
    work(2)
    for part in ("training_dataset", "validation_dataset"):
        assert "are the same" in show(alice, made[part])["status_details"]


def test_a_file_that_becomes_a_dataset_is_due_again(alice: Person) -> None:
    """A worker who was rung for it while it was locked has gone away."""
    file_id = alice.upload()
    work(3)
    assert row(Dataset, file_id).due_at is None
    create(alice, file_id=file_id)
    assert row(Dataset, file_id).due_at is not None


def test_more_examples_than_a_request_takes_are_sent_to_where_they_fit(frugal: Person) -> None:
    error = frugal.http.post("/datasets", json={"examples": [{"prompt": "x" * 10_000}]}).json()["error"]
    assert error["code"] == "request_too_large"
    assert "10000 bytes" in error["message"]
    assert "/v1/files" in error["message"]
    assert "file_id" in error["message"]


def test_the_parts_of_a_bad_dataset_are_bad(alice: Person) -> None:
    made = create(alice, file_id=alice.upload(lines(3)), split={"count": 1})
    work(2)
    assert show(alice, made["training_dataset"])["status"] == "error"
    assert row(Dataset, made["validation_dataset"]).error_code == "invalid_source"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"file_id": "file-none", "url": "https://example.com"},
        {"examples": []},
        {"examples": [1]},
        {"file_id": "file-x", "split": {}},
        {"file_id": "file-x", "split": {"fraction": 0.5, "count": 3}},
        {"file_id": "file-x", "split": {"fraction": 1}},
        {"file_id": "file-x", "metadata": {"k": "v" * 513}},
    ],
)
def test_an_invalid_request_is_refused(alice: Person, body: dict[str, Any]) -> None:
    assert alice.http.post("/datasets", json=body).status_code == 400
