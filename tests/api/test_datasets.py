"""/v1/datasets: progress, reports, problems, comparison, preview, and the jobs that use a dataset."""

from typing import Any

import pytest
from openai import BadRequestError

from api.routes import datasets as routes
from shared.datasets.models import Dataset
from shared.jobs.models import Job
from tests.api.datasets import BAD, show
from tests.worker.support import change, step_while
from tests.world import Person, Sandbox, lines, row, work, work_until_created
from worker.datasets import dataset_step
from worker.runtime import steps

NOT_UNDER_WAY = (None, None, None)


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


def test_a_comparison_tells_what_is_in_both(alice: Person) -> None:
    one, other = alice.upload(lines(12)), alice.upload(lines(15)[len(lines(10)) :] + lines(30)[len(lines(15)) :])
    work(2)
    compared = show(alice, one, f"/compare?other={other}")
    assert (compared["compared"], compared["exact"], compared["near"], compared["complete"]) == (12, 2, 0, True)


def test_the_parameter_that_names_no_dataset_is_named(alice: Person) -> None:
    dataset_id = alice.upload()
    for path, param in (("file-x/compare?other=" + dataset_id, "id"), (dataset_id + "/compare?other=file-x", "other")):
        answer = alice.http.get(f"/datasets/{path}")
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, param)


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


def test_bob_sees_nothing_of_alices(alice: Person, bob: Person) -> None:
    dataset_id = alice.upload()
    for path in ("", "/errors", f"/compare?other={dataset_id}"):
        assert bob.http.get(f"/datasets/{dataset_id}{path}").status_code == 404
    assert bob.http.post("/datasets", json={"file_id": dataset_id}).status_code == 404
    assert bob.http.get("/datasets").json()["data"] == []
