"""The status of a job, and the requests to cancel, pause and resume it."""

from datetime import timedelta

import pytest

from shared.db.times import utc_now
from shared.jobs.models import JobStatus
from tests.providers.stand_ins import LONG_AGO, Far
from worker.providers.errors import ProviderError

STATUSES = ["queued", "running", "paused", "succeeded", "failed", "cancelled"]


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_means_ours(far: Far, status: str) -> None:
    if status == "paused":
        far.needs("pause_job")
    job = far.job()
    far.sandbox.move(job.id, status=status)
    assert far.provider.get_job(job.id).status is JobStatus(status)
    if "job_pages" in far.stand_in.lacks:
        return
    [[listed]] = far.provider.job_pages()
    assert (listed.id, listed.status) == (job.id, JobStatus(status))


def test_an_unknown_status_is_kept_as_text_and_means_nothing(far: Far) -> None:
    job = far.job()
    far.fault("get_job", body=far.stand_in.status_field("moderating"))
    seen = far.provider.get_job(job.id)
    assert (seen.provider_status, seen.status) == ("moderating", None)


def test_a_job_that_has_succeeded_names_its_model_and_tokens(far: Far) -> None:
    job = far.running_job()
    assert (far.provider.get_job(job.id).estimated_finish is None) == ("estimated_finish" in far.stand_in.unsaid)
    far.sandbox.move(job.id, status="succeeded")
    seen = far.provider.get_job(job.id)
    assert seen.fine_tuned_model
    assert seen.trained_tokens
    assert seen.finished_at is not None
    assert seen.result_files
    assert seen.error is None or seen.error.message is None


def test_a_job_that_has_failed_says_why(far: Far) -> None:
    job = far.running_job()
    error = {"code": "server_error", "message": "It broke.", "param": "training_file"}
    far.sandbox.move(job.id, status="failed", error=error)
    seen = far.provider.get_job(job.id)
    assert seen.error is not None
    for name in far.stand_in.error_names:
        assert getattr(seen.error, name) == error[name]


def test_the_list_shows_the_facts_that_a_retrieve_shows(far: Far) -> None:
    """The worker compares the two to see what has changed."""
    far.needs("job_pages")
    job = far.running_job()
    for status in ("running", "succeeded"):
        far.sandbox.move(job.id, status=status)
        [[listed]] = far.provider.job_pages()
        assert listed.facts == far.provider.get_job(job.id).facts


def test_jobs_are_listed_newest_first_until_the_time_asked_for(far: Far) -> None:
    made = [far.job(f"ftjob-{number}").id for number in range(3)]
    assert [job.id for job in far.provider.list_jobs(LONG_AGO)] == made[::-1]
    assert far.provider.list_jobs(utc_now() + timedelta(hours=1)) == []


def test_pages_of_all_jobs_hold_each_once(far: Far) -> None:
    far.needs("job_pages")
    job = far.running_job()
    copies = far.sandbox.copies(job.id, 250)
    pages = list(far.provider.job_pages())
    ids = [each.id for page in pages for each in page]
    assert len(pages) >= 3 or not far.stand_in.is_paged
    assert ids == [*copies[::-1], job.id]


def test_a_reader_of_pages_can_stop_after_the_first(far: Far) -> None:
    far.needs("job_pages")
    far.sandbox.copies(far.running_job().id, 250)
    next(iter(far.provider.job_pages()))
    method, path = far.stand_in.calls["job_pages"]
    counted = far.sandbox.http.get("/sandbox/requests").json()["requests"]
    assert counted[f"{method} {path}"] == 1


def test_cancel_ends_a_job(far: Far) -> None:
    job = far.running_job()
    assert far.provider.cancel_job(job.id).status in {JobStatus.CANCELLED, JobStatus.RUNNING}
    assert far.provider.get_job(job.id).status is JobStatus.CANCELLED


def test_pause_and_resume(far: Far) -> None:
    far.needs("pause_job", "resume_job")
    job = far.running_job()
    far.provider.pause_job(job.id)
    assert far.provider.get_job(job.id).status is JobStatus.PAUSED
    far.provider.resume_job(job.id)
    assert far.provider.get_job(job.id).status in {JobStatus.QUEUED, JobStatus.RUNNING}


@pytest.mark.parametrize("request_name", ["cancel_job", "pause_job", "resume_job"])
def test_a_job_that_has_ended_refuses_every_request_for_good(far: Far, request_name: str) -> None:
    far.needs(request_name)
    job = far.running_job()
    far.sandbox.move(job.id, status="succeeded")
    with pytest.raises(ProviderError) as refusal:
        getattr(far.provider, request_name)(job.id)
    assert (refusal.value.retryable, refusal.value.effect_unknown) == (False, False)


@pytest.mark.parametrize("call", ["get_job", "cancel_job", "new_events", "checkpoints"])
def test_a_job_that_the_provider_does_not_know_is_a_404(far: Far, call: str) -> None:
    far.needs(call)
    arguments = ("ftjob-nobody", None) if call == "new_events" else ("ftjob-nobody",)
    with pytest.raises(ProviderError) as refusal:
        getattr(far.provider, call)(*arguments)
    assert (refusal.value.status, refusal.value.retryable) == (404, False)


@pytest.mark.parametrize("id", ["", ".", "..", "../files", "a/../../files"])
def test_no_id_leads_a_call_to_another_path(far: Far, id: str) -> None:
    file = far.file()
    for call in (far.provider.delete_file, far.provider.delete_model, far.provider.cancel_job):
        with pytest.raises(ProviderError):
            call(id)
    assert [each.id for each in far.provider.list_files()] == [file.id]
