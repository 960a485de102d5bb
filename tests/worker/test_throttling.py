"""An account that answers 429: its calls wait, and no other account's."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.database import transaction
from shared.datasets.models import ProviderFile
from shared.db.times import utc_now
from shared.jobs.models import Job, JobStatus, Watch
from shared.projects.models import Credential
from tests.worker.support import calls, change, ids, ready_job, running_job
from tests.world import Person, Sandbox, row
from worker.accounts import refresh
from worker.datasets import upload_to_provider
from worker.jobs import job_step, watch
from worker.runtime.steps import Step, run

JOBS = "/v1/fine_tuning/jobs"
BUSY: dict[str, Any] = {"status": 429, "headers": {"retry-after": "600"}}


def total(sandbox: Sandbox) -> int:
    return int(sandbox.http.get("/sandbox/requests").json()["total"])


def due(step: Step[Any, Any, Any], id: str) -> None:
    """Make a row due and run its step; unlike `world.step` it keeps the account's pause."""
    change(step.model, id, due_at=utc_now())
    run(step, id)


def paused_for(credential_id: str) -> timedelta:
    until = row(Credential, credential_id).paused_until
    return until - utc_now() if until is not None else timedelta()


def test_after_a_429_no_call_is_made_for_the_account(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    another = ready_job(alice)
    alice.create_job()
    file_id, credential_id = ids(ProviderFile)[0], row(Job, job_id).credential_id
    change(ProviderFile, file_id, status="pending", due_at=utc_now())
    sandbox.arm("GET", f"{JOBS}/*", **BUSY)
    due(job_step.advance, job_id)
    before = total(sandbox)
    waiting = ((job_step.advance, another), (watch.watch, ids(Watch)[0]), (refresh.refresh, credential_id))
    for step, id in ((upload_to_provider.upload, file_id), (job_step.advance, job_id), *waiting):
        due(step, id)
        found = row(step.model, id)
        assert timedelta(minutes=9) < found.due_at - utc_now() < timedelta(minutes=13)
        assert (found.failures, found.retries) == (0, 0)
    assert total(sandbox) == before
    assert row(Job, another).create_pending_at is None


def test_after_the_pause_all_rows_go_on(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, **BUSY)
    due(job_step.advance, job_id)
    job = row(Job, job_id)
    assert job.due_at >= row(Credential, job.credential_id).paused_until
    change(Credential, job.credential_id, paused_until=utc_now())
    due(job_step.advance, job_id)
    assert row(Job, job_id).provider_job_id == sandbox.jobs()[0].id


def test_pauses_without_retry_after_grow_and_start_again_after_a_longer_success(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id, _ = running_job(alice, sandbox)
    credential_id = row(Job, job_id).credential_id
    sandbox.arm("GET", f"{JOBS}/*", times=4, status=429)
    lengths = []
    for _ in range(3):
        due(job_step.advance, job_id)
        lengths.append(paused_for(credential_id))
        change(Credential, credential_id, paused_until=utc_now())
    assert lengths == sorted(lengths)
    assert lengths[2] > 2 * lengths[0]
    change(Credential, credential_id, paused_until=utc_now() - 1.5 * lengths[2])
    due(job_step.advance, job_id)
    assert paused_for(credential_id) < lengths[1]


def test_of_calls_made_at_the_same_time_the_first_429_counts(alice: Person, sandbox: Sandbox) -> None:
    first, second = running_job(alice, sandbox)[0], running_job(alice, sandbox)[0]
    sandbox.arm("GET", f"{JOBS}/*", times=2, status=429)

    def call(plan: Any) -> Any:
        due(job_step.advance, second)
        return job_step.advance.call(plan)

    change(Job, first, due_at=utc_now())
    run(replace(job_step.advance, call=call), first)
    assert row(Credential, row(Job, first).credential_id).pauses == 1


def test_another_account_is_not_paused(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    with transaction() as session:
        other = Credential(provider="other", base_url="https://elsewhere.example/v1", due_at=None)
        other.paused_until = utc_now() + timedelta(hours=1)
        session.add(other)
    sandbox.move(theirs, status="succeeded")
    due(job_step.advance, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("code", ["daily_rate_limit_exceeded", "active_job_limit_exceeded", "insufficient_quota"])
def test_a_refusal_for_the_number_of_jobs_or_for_quota_does_not_pause_the_account(
    alice: Person, sandbox: Sandbox, code: str
) -> None:
    job_id = ready_job(alice)
    error = {"message": "No.", "type": "x", "param": None, "code": code}
    sandbox.arm("POST", JOBS, status=429, body={"error": error})
    due(job_step.advance, job_id)
    assert row(Credential, row(Job, job_id).credential_id).paused_until is None
    assert calls(sandbox, f"POST {JOBS}") == 1


def test_a_cancel_of_a_job_that_the_provider_does_not_have_does_not_wait(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    change(Credential, row(Job, job_id).credential_id, paused_until=utc_now() + timedelta(hours=1))
    due(job_step.advance, job_id)
    assert alice.openai.fine_tuning.jobs.cancel(job_id).status == "cancelled"
