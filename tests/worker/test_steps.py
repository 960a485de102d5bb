"""Steps that raise: counted, put off, and given up in the end."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col
from structlog.contextvars import bound_contextvars

from shared.database import transaction
from shared.db.claims import claim, make_due
from shared.db.times import utc_now
from shared.jobs.models import Job, JobRequest, JobStatus
from shared.projects.models import Credential
from shared.projects.service import default_credential
from shared.settings import get_settings
from tests.worker.support import (
    Killed,
    change,
    pass_create_grace,
    ready_job,
    running_job,
    settings,
    step_killed_before_record,
)
from tests.world import Person, Sandbox, row, step
from worker.accounts import refresh
from worker.jobs import job_step
from worker.jobs.actions.prepare import Create
from worker.runtime.steps import Step, backoff, run

CREATE = "POST /v1/fine_tuning/jobs"


def fail(*_: object) -> Any:
    raise ZeroDivisionError("an unforeseen error")


BROKEN = {
    "plan": replace(job_step.advance, plan=fail),
    "call": replace(job_step.advance, call=fail),
    "record": replace(job_step.advance, record=fail),
}


def take(broken: Step[Any, Any, Any], job_id: str) -> None:
    change(Job, job_id, due_at=utc_now())
    run(broken, job_id)


@pytest.mark.parametrize("part", BROKEN)
def test_a_step_that_raises_is_counted_and_put_off(alice: Person, sandbox: Sandbox, part: str) -> None:
    job_id, _ = running_job(alice, sandbox)
    for count in (1, 2, 3):
        began = utc_now()
        take(BROKEN[part], job_id)
        job = row(Job, job_id)
        assert job.failures == count
        wait = get_settings().retry_base * 2**count
        assert began + wait * 0.8 <= job.due_at < utc_now() + wait * 1.2


@pytest.mark.parametrize("part", BROKEN)
def test_a_step_that_keeps_raising_ends_in_a_failed_state_with_a_reason(
    alice: Person, sandbox: Sandbox, part: str
) -> None:
    job_id, _ = running_job(alice, sandbox)
    with settings(TUNERY_MAX_STEP_FAILURES="3"):
        for _ in range(4):
            assert row(Job, job_id).status is JobStatus.RUNNING
            take(BROKEN[part], job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.error
    assert (job.status, job.error.code) == ("failed", "internal_error")
    assert job_id in job.error.message


def test_a_job_that_is_given_up_is_cancelled_at_the_provider(alice: Person, sandbox: Sandbox) -> None:
    job_id, provider_job_id = running_job(alice, sandbox)
    with settings(TUNERY_MAX_STEP_FAILURES="1"):
        for _ in range(2):
            take(BROKEN["call"], job_id)
    assert row(Job, job_id).error["code"] == "internal_error"
    for _ in range(2):
        step(Job, job_id)
    assert sandbox.openai.fine_tuning.jobs.retrieve(provider_job_id).status == "cancelled"
    job = row(Job, job_id)
    assert (job.status, job.due_at, job.slot) == (JobStatus.FAILED, None, None)


def test_a_given_up_job_that_cannot_be_cancelled_either_ends(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    with settings(TUNERY_MAX_STEP_FAILURES="1"):
        for _ in range(4):
            take(BROKEN["call"], job_id)
    job = row(Job, job_id)
    assert (job.status, job.due_at, job.request, job.slot) == (JobStatus.FAILED, None, None, None)


def test_a_given_up_job_whose_create_is_unknown_is_searched_for_and_cancelled(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    with settings(TUNERY_MAX_STEP_FAILURES="1"):
        step_killed_before_record(job_step.advance, job_id)
        change(Job, job_id, failures=2)
        step(Job, job_id)
        assert row(Job, job_id).error["code"] == "internal_error"
    pass_create_grace(job_id)
    for _ in range(3):
        step(Job, job_id)
    assert [job.status for job in sandbox.jobs()] == ["cancelled"]
    assert (row(Job, job_id).status, row(Job, job_id).due_at) == (JobStatus.FAILED, None)


def test_a_step_whose_worker_is_killed_each_time_is_given_up_too(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    for _ in range(5):
        step_killed_before_record(job_step.advance, job_id)
        assert row(Job, job_id).status is JobStatus.RUNNING
    with bound_contextvars(task_id="task-1"):
        take(BROKEN["call"], job_id)
    error = row(Job, job_id).error
    assert error["code"] == "internal_error"
    assert f"{job_id} (task task-1)" in error["message"]


def test_a_step_that_succeeds_resets_the_count(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    take(BROKEN["call"], job_id)
    assert row(Job, job_id).failures == 1
    step(Job, job_id)
    assert row(Job, job_id).failures == 0


def test_a_pause_that_is_requested_while_a_step_is_put_off_is_kept_and_does_not_hurry_it(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id, _ = running_job(alice, sandbox)
    take(BROKEN["call"], job_id)
    before = row(Job, job_id)
    alice.openai.fine_tuning.jobs.pause(job_id)
    after = row(Job, job_id)
    assert (after.failures, after.due_at, after.request) == (1, before.due_at, JobRequest.PAUSE)


@pytest.mark.parametrize("part", BROKEN)
def test_a_cancel_does_not_wait_for_a_step_that_is_put_off(alice: Person, sandbox: Sandbox, part: str) -> None:
    job_id, _ = running_job(alice, sandbox)
    take(BROKEN[part], job_id)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    after = row(Job, job_id)
    assert (after.failures, after.request) == (1, JobRequest.CANCEL)
    assert after.due_at <= utc_now()


def test_what_is_requested_while_any_step_runs_makes_the_next_step_due_at_once(alice: Person) -> None:
    """Not of jobs alone: a credential is tested while its step for an earlier reason is under way."""
    with transaction() as session:
        credential_id = default_credential(session).id
    change(Credential, credential_id, due_at=utc_now())

    def call(_: Credential) -> refresh.Answer:
        with transaction() as session:
            make_due(session, session.get_one(Credential, credential_id))
        return refresh.Answer([], {})

    run(replace(refresh.refresh, call=call), credential_id)
    assert row(Credential, credential_id).due_at <= utc_now()


def test_a_cancel_does_not_disturb_a_step_under_way(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    take(BROKEN["call"], job_id)
    change(Job, job_id, due_at=utc_now())
    with transaction() as session:
        held = claim(session, Job, col(Job.id) == job_id, timedelta(minutes=1))
        assert held is not None
    alice.openai.fine_tuning.jobs.cancel(job_id)
    assert row(Job, job_id).due_at == held.due_at


def test_back_off_doubles_up_to_a_limit_with_jitter(server: str) -> None:
    base, cap = get_settings().retry_base, get_settings().retry_cap
    for count in range(40):
        middle = min(cap, base * 2.0 ** min(count, 30))
        waits = {backoff(count) for _ in range(20)}
        assert middle * 0.8 <= min(waits) < max(waits) <= middle * 1.2


def test_at_most_an_hour_of_retry_after_is_respected(server: str) -> None:
    assert backoff(0, timedelta(minutes=50)) == timedelta(minutes=50)
    assert backoff(0, timedelta(days=365)) == timedelta(hours=1)
    assert backoff(20, timedelta(seconds=1)) > timedelta(minutes=3)


def test_a_create_that_kills_its_worker_is_tried_a_limited_number_of_times(alice: Person, sandbox: Sandbox) -> None:
    job_id, creates = ready_job(alice), 0

    def call(plan: job_step.Plan) -> Any:
        nonlocal creates
        if isinstance(plan.work, Create):
            creates += 1
            raise Killed
        return job_step.advance.call(plan)

    with settings(TUNERY_MAX_STEP_FAILURES="3"):
        for _ in range(12):
            pending = row(Job, job_id).create_pending_at
            values = {"create_pending_at": pending - get_settings().create_grace} if pending else {}
            change(Job, job_id, due_at=utc_now(), **values)
            with suppress(Killed):
                run(replace(job_step.advance, call=call), job_id)
    assert (creates, row(Job, job_id).status) == (3, JobStatus.FAILED)
    assert row(Job, job_id).error["code"] == "internal_error"
