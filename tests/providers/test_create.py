"""Creating a job, and looking for one before it is created again."""

from datetime import timedelta
from typing import Any

import pytest

from shared.db.ids import new_id
from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.providers.capabilities import CAPABILITIES
from tests.providers.stand_ins import Far
from tests.servers import until
from worker.providers.errors import ProviderError

UNKNOWN_ENDS: list[dict[str, Any]] = [
    {"drop": "after"},
    {"delay_after": 3},
    {"status": 500, "after_effect": True},
    {"status": 200, "after_effect": True, "body": "<html>"},
]


def test_a_created_job_carries_what_was_asked_for(far: Far) -> None:
    able = CAPABILITIES[far.stand_in.dialect]
    training, validation = far.file(), far.file(name="file-b.jsonl") if able.validated_methods else None
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}}
    values: dict[str, Any] = {
        "suffix": "mine" if able.suffix_length else None,
        "validation_file": validation and validation.id,
    }
    job = far.job(training_file=training.id, method=method, **values)
    assert (job.model, job.training_file) == (far.stand_in.model, training.id)
    assert job.validation_file == values["validation_file"]
    assert job.seed == far.says("seed", 7) or "seed" in far.stand_in.unsaid
    assert job.hyperparameters["n_epochs"] == 3
    assert job.status is far.stand_in.first_status
    assert job.created_at is not None
    assert abs(job.created_at - utc_now()) < timedelta(minutes=1)


def test_a_created_job_carries_our_mark(far: Far) -> None:
    job_id = new_id(Job.id_prefix)
    job = far.job(job_id)
    assert far.provider.get_job(job.id).mark == job.mark == far.mark(job_id)


def test_what_the_caller_left_out_is_not_sent(far: Far) -> None:
    """Some providers refuse a null where OpenAI takes it."""
    job = far.job()
    assert (job.validation_file, job.error, job.fine_tuned_model, job.result_files) == (None, None, None, ())


def test_a_job_is_found_by_our_id_and_no_other(far: Far) -> None:
    ours = far.job("ftjob-1")
    far.job("ftjob-2")
    assert [job.id for job in far.find_jobs("ftjob-1")] == [ours.id]
    assert far.find_jobs("ftjob-3") == []


def test_a_job_is_found_behind_more_than_a_page_of_others(far: Far) -> None:
    ours = far.job("ftjob-1")
    far.sandbox.copies(far.job("ftjob-2").id, 120)
    assert [job.id for job in far.find_jobs("ftjob-1")] == [ours.id]


def test_of_several_the_oldest_comes_first(far: Far) -> None:
    new = far.new_job("ftjob-1")
    made = [far.provider.create_job(new).id for _ in range(3)]
    if far.stand_in.creates_once:
        assert len(set(made)) == 1
        made = made[:1]
    assert [job.id for job in far.find_jobs("ftjob-1")] == made


def test_a_search_ends_at_jobs_that_are_older_than_the_attempt(far: Far) -> None:
    far.job("ftjob-1")
    assert far.find_jobs("ftjob-1", utc_now() + timedelta(hours=1)) == []


@pytest.mark.parametrize("end", UNKNOWN_ENDS, ids=str)
def test_a_job_whose_create_had_no_usable_answer_is_found_once(far: Far, end: dict[str, Any]) -> None:
    new = far.new_job("ftjob-1")
    far.fault("create_job", **end)
    with pytest.raises(ProviderError) as failure:
        far.provider.create_job(new)
    assert failure.value.effect_unknown
    assert len(far.find_jobs("ftjob-1")) == 1


def test_a_conflict_leads_to_the_job_or_to_a_search_for_it(far: Far) -> None:
    new = far.new_job("ftjob-1")
    far.fault("create_job", status=409, after_effect=True)
    if far.stand_in.creates_once:
        made = far.provider.create_job(new)
        assert far.find_jobs("ftjob-1") == [made]
        return
    with pytest.raises(ProviderError) as failure:
        far.provider.create_job(new)
    assert failure.value.effect_unknown
    assert len(far.find_jobs("ftjob-1")) == 1


@pytest.mark.parametrize("end", [{"drop": "before"}, {"status": 500}], ids=str)
def test_a_create_that_had_no_effect_is_found_to_have_none(far: Far, end: dict[str, Any]) -> None:
    new = far.new_job("ftjob-1")
    far.fault("create_job", **end)
    with pytest.raises(ProviderError):
        far.provider.create_job(new)
    assert far.find_jobs("ftjob-1") == []


def test_nothing_is_repeated_by_itself(far: Far) -> None:
    new = far.new_job("ftjob-1")
    far.fault("create_job", drop="after", times=3)
    with pytest.raises(ProviderError):
        far.provider.create_job(new)
    assert len(far.find_jobs("ftjob-1")) == 1


def test_a_job_that_the_list_shows_late_is_found_when_it_does(far: Far) -> None:
    """Why the worker waits for `create_grace` before it looks."""
    far.sandbox.http.post("/sandbox/list_lag", json={"seconds": 2.5}).raise_for_status()
    job = far.job("ftjob-1")
    assert [each.id for each in until(lambda: far.find_jobs("ftjob-1"))] == [job.id]
