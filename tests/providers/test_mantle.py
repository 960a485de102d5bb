"""What only Bedrock mantle does: Lambda graders, no marks, a list with old statuses, files of 100 to 20,000 rows."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.jobs.models import JobStatus
from shared.providers.dialects import Dialect
from tests.providers.stand_ins import LONG_AGO, Far, far_of
from tests.world import Sandbox, lines
from worker.providers.errors import ProviderError

GRADER = {"type": "lambda", "lambda": {"function": "arn:aws:lambda:us-west-2:123456789012:function:grade"}}
RFT = b'{"messages": [{"role": "user", "content": "2 + %d?"}], "reference_answer": {"sum": %d}}\n'


@pytest.fixture
def mantle(server: str, speaking: Callable[[str], Sandbox]) -> Iterator[Far]:
    with far_of(Dialect.MANTLE, speaking) as mantle:
        yield mantle


def switch(mantle: Far, **switches: Any) -> None:
    mantle.sandbox.http.post("/sandbox/mantle", json=switches).raise_for_status()


def reinforcement(**others: Any) -> dict[str, Any]:
    return {"type": "reinforcement", "reinforcement": {"grader": GRADER, **others}}


def test_a_job_is_graded_by_a_lambda(mantle: Far) -> None:
    file = mantle.file(b"".join(RFT % (number, number + 2) for number in range(100)))
    hyperparameters = {"n_epochs": 2, "batch_size": "auto", "eval_interval": "auto"}
    job = mantle.job(training_file=file.id, method=reinforcement(hyperparameters=hyperparameters))
    assert job.hyperparameters["n_epochs"] == 2
    shown = mantle.sandbox.http.get(f"/v1/fine_tuning/jobs/{job.id}").json()
    assert shown["method"]["reinforcement"]["grader"] == GRADER
    mantle.sandbox.move(job.id, status="succeeded")
    assert mantle.provider.get_job(job.id).fine_tuned_model


@pytest.mark.parametrize("takes_it", [True, False])
def test_without_a_method_it_trains_by_supervision_if_it_takes_that(mantle: Far, takes_it: bool) -> None:
    switch(mantle, trains_supervised=takes_it)
    new = mantle.new_job(training_file=mantle.file(lines(100)).id, suffix=None)
    if takes_it:
        assert mantle.provider.create_job(new).status is JobStatus.VALIDATING_FILES
        return
    with pytest.raises(ProviderError, match="Missing required parameter") as refusal:
        mantle.provider.create_job(new)
    assert not refusal.value.retryable


@pytest.mark.parametrize("rows", [99, 20_001])
def test_it_refuses_files_with_too_few_rows_or_too_many(mantle: Far, rows: int) -> None:
    with pytest.raises(ProviderError, match=f"has {rows} rows"):
        mantle.job(training_file=mantle.file(lines(rows)).id)


@pytest.mark.parametrize("is_stale", [True, False])
def test_what_the_list_shows_of_a_job_is_not_believed(mantle: Far, is_stale: bool) -> None:
    switch(mantle, list_is_stale=is_stale, least_rows=1)
    job = mantle.running_job(job_id="ftjob-1")
    mantle.sandbox.move(job.id, status="succeeded")
    [found] = mantle.find_jobs("ftjob-1")
    assert (found.id, found.status) == (job.id, JobStatus.SUCCEEDED)
    [listed] = mantle.provider.list_jobs(LONG_AGO)
    assert (listed.status is JobStatus.SUCCEEDED) == (not is_stale)


def test_no_list_is_read_to_see_what_has_changed(mantle: Far) -> None:
    with pytest.raises(ProviderError) as refusal:
        mantle.provider.job_pages()
    assert (refusal.value.code, refusal.value.retryable) == ("unsupported_by_provider", False)


def test_of_two_jobs_with_equal_files_each_is_found_by_its_own(mantle: Far) -> None:
    switch(mantle, least_rows=1)
    one, other = mantle.job("ftjob-1"), mantle.job("ftjob-2")
    assert [[job.id for job in mantle.find_jobs(id)] for id in ("ftjob-1", "ftjob-2")] == [[one.id], [other.id]]
    assert one.mark is None


def test_the_id_of_a_file_is_a_bare_uuid(mantle: Far) -> None:
    id = mantle.file().id
    assert [len(part) for part in id.split("-")] == [8, 4, 4, 4, 12]
    assert mantle.provider.file_name(id) == "file-a.jsonl"


def test_openais_sdk_makes_the_calls_of_its_guide(mantle: Far) -> None:
    sdk = mantle.sandbox.openai
    rows = b"".join(RFT % (number, number + 2) for number in range(100))
    file = sdk.files.create(file=("train.jsonl", rows), purpose="fine-tune")
    method: Any = reinforcement(hyperparameters={"n_epochs": 1})
    job = sdk.fine_tuning.jobs.create(model="openai.gpt-oss-20b", training_file=file.id, method=method)
    assert sdk.fine_tuning.jobs.retrieve(job.id).status == "validating_files"
    assert [each.id for each in sdk.fine_tuning.jobs.list()] == [job.id]
    assert sdk.fine_tuning.jobs.list_events(job.id).data
    mantle.sandbox.move(job.id, status="succeeded")
    checkpoints = list(sdk.fine_tuning.jobs.checkpoints.list(job.id))
    model = sdk.fine_tuning.jobs.retrieve(job.id).fine_tuned_model or ""
    for name in (model, checkpoints[0].fine_tuned_model_checkpoint):
        assert sdk.chat.completions.create(model=name, messages=[{"role": "user", "content": "2 + 2?"}]).choices
    assert sdk.files.delete(file.id).deleted
