"""Creating a job, and looking for one before it is created again."""

import time
from datetime import timedelta
from typing import Any

import pytest

from shared.db.times import utc_now
from shared.jobs.models import JobStatus
from tests.providers.stand_ins import LONG_AGO, MODEL, Far
from worker.providers.errors import ProviderError

UNKNOWN_ENDS: list[dict[str, Any]] = [
    {"drop": "after"},
    {"delay_after": 3},
    {"status": 500, "after_effect": True},
    {"status": 409, "after_effect": True},
    {"status": 200, "after_effect": True, "body": "<html>"},
]


def test_a_created_job_carries_what_was_asked_for(far: Far) -> None:
    training, validation = far.file(), far.file(name="file-b.jsonl")
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}}
    job = far.job(training_file=training.id, validation_file=validation.id, suffix="mine", method=method)
    assert (job.model, job.training_file, job.validation_file, job.seed) == (MODEL, training.id, validation.id, 7)
    assert job.hyperparameters["n_epochs"] == 3
    assert job.status is JobStatus.VALIDATING_FILES
    assert job.created_at is not None
    assert abs(job.created_at - utc_now()) < timedelta(minutes=1)


def test_a_created_job_carries_our_mark(far: Far) -> None:
    job = far.job("ftjob-1")
    assert far.provider.get_job(job.id).mark == job.mark == far.new_job("ftjob-1").mark


def test_what_the_caller_left_out_is_not_sent(far: Far) -> None:
    """Some providers refuse a null where OpenAI takes it."""
    job = far.job()
    assert (job.validation_file, job.error, job.fine_tuned_model, job.result_files) == (None, None, None, ())


def test_a_job_is_found_by_our_id_and_no_other(far: Far) -> None:
    ours = far.job("ftjob-1")
    far.job("ftjob-2")
    assert [job.id for job in far.provider.find_jobs("ftjob-1", LONG_AGO)] == [ours.id]
    assert far.provider.find_jobs("ftjob-3", LONG_AGO) == []


def test_a_job_is_found_behind_more_than_a_page_of_others(far: Far) -> None:
    ours = far.job("ftjob-1")
    far.sandbox.copies(far.job("ftjob-2").id, 120)
    assert [job.id for job in far.provider.find_jobs("ftjob-1", LONG_AGO)] == [ours.id]


def test_of_several_the_oldest_comes_first(far: Far) -> None:
    made = [far.job("ftjob-1").id for _ in range(3)]
    assert [job.id for job in far.provider.find_jobs("ftjob-1", LONG_AGO)] == made


def test_a_search_ends_at_jobs_that_are_older_than_the_attempt(far: Far) -> None:
    far.job("ftjob-1")
    assert far.provider.find_jobs("ftjob-1", utc_now() + timedelta(hours=1)) == []


@pytest.mark.parametrize("end", UNKNOWN_ENDS, ids=str)
def test_a_job_whose_create_had_no_usable_answer_is_found_once(far: Far, end: dict[str, Any]) -> None:
    new = far.new_job("ftjob-1")
    far.fault("create_job", **end)
    with pytest.raises(ProviderError) as failure:
        far.provider.create_job(new)
    assert failure.value.effect_unknown
    assert len(far.provider.find_jobs("ftjob-1", LONG_AGO)) == 1


@pytest.mark.parametrize("end", [{"drop": "before"}, {"status": 500}], ids=str)
def test_a_create_that_had_no_effect_is_found_to_have_none(far: Far, end: dict[str, Any]) -> None:
    new = far.new_job("ftjob-1")
    far.fault("create_job", **end)
    with pytest.raises(ProviderError):
        far.provider.create_job(new)
    assert far.provider.find_jobs("ftjob-1", LONG_AGO) == []


def test_nothing_is_repeated_by_itself(far: Far) -> None:
    new = far.new_job("ftjob-1")
    far.fault("create_job", drop="after", times=3)
    with pytest.raises(ProviderError):
        far.provider.create_job(new)
    assert len(far.provider.find_jobs("ftjob-1", LONG_AGO)) == 1


def test_a_job_that_the_list_shows_late_is_found_when_it_does(far: Far) -> None:
    """Why the worker waits for `create_grace` before it looks."""
    far.sandbox.http.post("/sandbox/list_lag", json={"seconds": 2.5}).raise_for_status()
    job = far.job("ftjob-1")
    deadline = time.monotonic() + 60
    while not (found := far.provider.find_jobs("ftjob-1", LONG_AGO)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [each.id for each in found] == [job.id]
