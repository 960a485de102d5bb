"""/v1/datasets: reports, problems, comparison, and datasets that nobody uploads."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from openai import BadRequestError

from api.routes import datasets as routes
from shared.datasets.models import Dataset
from shared.datasets.validation.check import check
from shared.jobs.models import Job
from tests.servers import Receiver
from tests.worker.levers import change, ids, step_while
from tests.world import Person, Sandbox, lines, row, step, work, work_until_created
from worker.datasets import dataset_step
from worker.runtime import steps

NOT_UNDER_WAY = (None, None, None)
BAD = b'{"messages": [{"role": "bot", "content": "x"}, {"role": "assistant", "content": "y"}]}\n'


def create(person: Person, **body: Any) -> dict[str, Any]:
    answer = person.http.post("/datasets", json=body)
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


def show(person: Person, dataset_id: str, path: str = "") -> dict[str, Any]:
    answer = person.http.get(f"/datasets/{dataset_id}{path}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_while_a_check_is_under_way_the_dataset_and_its_job_show_how_far_it_is(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "LEASE_RENEWAL_SECONDS", 0.0)
    dataset_id = alice.upload()
    job_id = alice.create_job(training_file=dataset_id)

    def shown() -> tuple[Any, Any, Any]:
        job = alice.openai.fine_tuning.jobs.retrieve(job_id).to_dict()
        [listed] = alice.http.get("/fine_tuning/jobs").json()["data"]
        return show(alice, dataset_id)["progress"], job["check_progress"], listed["check_progress"]

    seen = [shown()]
    for _ in range(2):
        step_while(dataset_step.advance, dataset_id, lambda: seen.append(shown()))
        seen.append(shown())
    of_the_check, of_the_count = (1.0, 1.0, 1.0), (1.0, None, None)
    assert seen == [NOT_UNDER_WAY, of_the_check, NOT_UNDER_WAY, of_the_count, NOT_UNDER_WAY]


def test_of_two_files_a_job_shows_the_one_that_is_less_far(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "LEASE_RENEWAL_SECONDS", 0.0)
    training, validation = alice.upload(), alice.upload(lines(20))
    job_id = alice.create_job(training_file=training, validation_file=validation)
    change(Dataset, training, check_progress=0.25)
    shares: list[float | None] = []
    step_while(dataset_step.advance, validation, lambda: shares.append(row(Job, job_id).check_progress))
    assert shares == [0.25]


def test_a_report_comes_first_without_and_then_with_tokens(alice: Person) -> None:
    dataset_id = alice.upload(lines(12))
    assert show(alice, dataset_id)["status"] == "uploaded"
    work()
    first = show(alice, dataset_id)
    work()
    then = show(alice, dataset_id)
    assert (first["status"], first["tokens_counted"], then["tokens_counted"]) == ("processed", False, True)
    assert then["statistics"]["tokens"]["total"] > 0
    assert then["examples"] == 12


def test_all_errors_are_listed_with_their_lines_and_filtered_by_code(alice: Person) -> None:
    dataset_id = alice.upload(lines(10) + BAD + b"{broken\n" + BAD)
    work()
    problems = show(alice, dataset_id, "/errors?severity=error")["data"]
    assert [(each["line"], each["code"]) for each in problems] == [
        (11, "unrecognized_role"),
        (12, "invalid_json"),
        (13, "unrecognized_role"),
    ]
    page = show(alice, dataset_id, f"/errors?code=unrecognized_role&limit=1&after={problems[0]['id']}")
    assert ([each["line"] for each in page["data"]], page["has_more"]) == ([13], False)


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
        assert "there are 12" in error["message"]
    assert ids(Dataset) == [file_id]


def test_a_split_is_told_when_the_file_turns_out_to_be_too_small(alice: Person) -> None:
    made = create(alice, file_id=alice.upload(), split={"count": 12})
    work(2)
    for part in ("training_dataset", "validation_dataset"):
        assert "there are 12" in show(alice, made[part])["status_details"]


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


def test_a_file_that_is_named_is_looked_at_again(alice: Person) -> None:
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


def test_a_comparison_tells_what_is_in_both(alice: Person) -> None:
    one, other = alice.upload(lines(12)), alice.upload(lines(15)[len(lines(10)) :] + lines(30)[len(lines(15)) :])
    work(2)
    compared = show(alice, one, f"/compare?other={other}")
    assert (compared["compared"], compared["exact"], compared["near"], compared["complete"]) == (12, 2, 0, True)


def test_of_large_files_the_beginnings_are_compared_and_that_is_said(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "COMPARED_BYTES", len(lines(5)))
    dataset_id = alice.upload()
    work()
    compared = show(alice, dataset_id, f"/compare?other={dataset_id}")
    assert (compared["compared"], compared["exact"], compared["complete"]) == (5, 5, False)


def test_a_preview_shows_the_tokens_and_what_is_trained(alice: Person) -> None:
    dataset_id = alice.upload()
    work()
    answer = alice.http.get(f"/datasets/{dataset_id}/preview?limit=2").json()
    assert [example["line"] for example in answer] == [1, 2]
    question, reply = answer[0]["messages"]
    assert ("".join(question["pieces"]), question["trained"]) == ("Question 0", False)
    assert ("".join(reply["pieces"]), reply["trained"]) == ("Answer 0", True)


def test_an_estimate_says_the_price_and_how_it_came_about(alice: Person) -> None:
    dataset_id = alice.upload(lines(10))
    work()
    assert alice.http.get(f"/datasets/{dataset_id}/estimate?model=gpt-4o-mini").json()["error"]["code"] == (
        "dataset_not_checked"
    )
    work()
    found = show(alice, dataset_id, "/estimate?model=gpt-4o-mini&n_epochs=4")
    assert found["billed_tokens"] == 4 * show(alice, dataset_id)["statistics"]["tokens"]["total"]
    assert Decimal(found["amount"]) == Decimal(found["billed_tokens"]) * 3 / 1_000_000
    unknown = show(alice, dataset_id, "/estimate?model=my-own-model")
    assert (unknown["amount"], bool(unknown["reason"])) == (None, True)


def test_a_model_that_reads_other_tokens_gets_an_exact_estimate_once_they_are_counted(alice: Person) -> None:
    content = lines(12)
    dataset_id = alice.upload(content)
    work(2)
    report = show(alice, dataset_id)
    for _ in range(2):
        before = show(alice, dataset_id, "/estimate?model=gpt-3.5-turbo")
        assert (before["tokens"], before["amount"]) == (None, None)
        assert "cl100k_base" in before["reason"]
        assert "ask again" in before["reason"]
    work()
    after = show(alice, dataset_id, "/estimate?model=gpt-3.5-turbo&n_epochs=2")
    exact = check(BytesIO(content), model="gpt-3.5-turbo").statistics.tokens
    assert exact
    assert (after["tokens"], after["billed_tokens"]) == (exact.total, 2 * exact.total)
    assert show(alice, dataset_id) == report
    assert row(Dataset, dataset_id).due_at is None


def test_a_job_whose_model_reads_other_tokens_gets_its_estimate_once_they_are_counted(alice: Person) -> None:
    job_id = alice.create_job(model="gpt-3.5-turbo", hyperparameters={"n_epochs": 2})
    change(Job, job_id, created_at=datetime(2026, 1, 1, tzinfo=UTC))  # when it still had a price
    dataset_id = row(Job, job_id).training_file
    for _ in range(2):
        step(Dataset, dataset_id)
        assert row(Job, job_id).estimated_cost is None
    step(Dataset, dataset_id)
    cost = alice.http.get(f"/fine_tuning/jobs/{job_id}").json()["estimated_cost"]
    exact = show(alice, dataset_id, "/estimate?model=gpt-3.5-turbo&n_epochs=2")
    assert (cost["tokens"], cost["currency"]) == (exact["billed_tokens"], "USD")
    assert Decimal(cost["amount"]) == Decimal(8) * cost["tokens"] / 1_000_000


def test_a_job_carries_its_estimate_and_then_its_cost(alice: Person, sandbox: Sandbox) -> None:
    dataset_id = alice.upload()
    work(2)
    job_id = alice.create_job(training_file=dataset_id, hyperparameters={"n_epochs": 2})
    before = alice.http.get(f"/fine_tuning/jobs/{job_id}").json()
    sandbox.move(work_until_created(job_id), status="succeeded")
    work()
    after = alice.http.get(f"/fine_tuning/jobs/{job_id}").json()
    assert (before["estimated_cost"]["currency"], before["cost"]) == ("USD", None)
    assert Decimal(after["cost"]["amount"]) == Decimal(after["trained_tokens"]) * 3 / 1_000_000


def test_a_job_that_is_there_before_the_tokens_gets_its_estimate_when_they_are(alice: Person) -> None:
    job_id = alice.create_job()
    address = f"/fine_tuning/jobs/{job_id}"
    before = alice.http.get(address).json()["estimated_cost"]
    work(2)
    assert (before, alice.http.get(address).json()["estimated_cost"]["currency"]) == (None, "USD")


def test_the_parts_of_a_bad_dataset_are_bad(alice: Person) -> None:
    made = create(alice, file_id=alice.upload(lines(3)), split={"count": 1})
    work(2)
    assert show(alice, made["training_dataset"])["status"] == "error"
    assert row(Dataset, made["validation_dataset"]).error_code == "invalid_source"


def test_a_file_of_few_examples_can_be_validated_on_but_not_trained_on(alice: Person, sandbox: Sandbox) -> None:
    few, training = alice.upload(lines(3)), alice.upload(lines(20)[len(lines(5)) :])
    work()
    assert show(alice, few)["status"] == "error"
    with pytest.raises(BadRequestError) as refused:
        alice.create_job(training_file=few)
    assert (refused.value.code, refused.value.param) == ("invalid_n_examples", "training_file")
    sandbox.move(work_until_created(alice.create_job(training_file=training, validation_file=few)), status="succeeded")
    assert len(sandbox.files()) == 2


@pytest.mark.parametrize("content", [b"\n\n\n", lines(3) + b"{broken\n"], ids=["no example", "a bad one"])
def test_a_file_that_shows_nothing_cannot_be_validated_on_either(alice: Person, content: bytes) -> None:
    bad, training = alice.upload(content), alice.upload()
    work()
    with pytest.raises(BadRequestError) as refused:
        alice.create_job(training_file=training, validation_file=bad)
    assert refused.value.param == "validation_file"


def test_few_examples_that_are_checked_after_the_job_was_accepted_are_as_good(alice: Person, sandbox: Sandbox) -> None:
    few = alice.upload(lines(1).replace(b"Question", b"Another"))
    job_id = alice.create_job(validation_file=few)
    work()
    assert alice.http.delete(f"/files/{few}").json()["error"]["code"] == "file_in_use"
    assert work_until_created(job_id) == sandbox.jobs()[0].id


def test_a_dataset_knows_the_jobs_that_used_it(alice: Person) -> None:
    dataset_id = alice.upload()
    job_id = alice.create_job(training_file=dataset_id)
    assert show(alice, dataset_id)["jobs"] == [job_id]


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
def test_a_request_that_makes_no_sense_is_refused(alice: Person, body: dict[str, Any]) -> None:
    assert alice.http.post("/datasets", json=body).status_code == 400


def test_bob_sees_nothing_of_alices(alice: Person, bob: Person) -> None:
    dataset_id = alice.upload()
    for path in ("", "/errors", f"/compare?other={dataset_id}"):
        assert bob.http.get(f"/datasets/{dataset_id}{path}").status_code == 404
    assert bob.http.post("/datasets", json={"file_id": dataset_id}).status_code == 404
    assert bob.http.get("/datasets").json()["data"] == []
