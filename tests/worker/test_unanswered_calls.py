"""Calls that the provider leaves unanswered or refuses for so long that they are abandoned."""

from datetime import timedelta
from typing import Any

import pytest

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import Job, JobRequest, JobStatus, NextAction, Watch
from shared.settings import get_settings
from tests.worker.support import calls, change, ids, pass_create_grace, ready_job, running_job, settings
from tests.worker.watch_calls import read_list
from tests.world import Person, Sandbox, row, step, work
from worker.jobs import watch
from worker.jobs.actions import failures, request

JOBS = "/v1/fine_tuning/jobs"
CANCEL, PAUSE = f"{JOBS}/*/cancel", f"{JOBS}/*/pause"
REFUSED_SOME_TIMES = 2 * request.MAX_IMPOSSIBLE_ANSWERS
ELSEWHERE = "https://elsewhere.example/v1"


def warnings(person: Person, job_id: str) -> list[str]:
    events = person.openai.fine_tuning.jobs.list_events(job_id, limit=100)
    return [event.message for event in events if event.level == "warn"]


def unanswered(
    job_id: str, hours: float = 24, attempts: int = failures.MIN_ATTEMPTS_WITHOUT_ANSWER, **values: Any
) -> None:
    """Make the provider not have answered for this long."""
    change(Job, job_id, unanswered_since=utc_now() - timedelta(hours=hours), retries=attempts, **values)


def job_to_be_cancelled(person: Person, sandbox: Sandbox, **fault: Any) -> tuple[str, str]:
    """A running job with a pending cancel that meets this fault; returns its id here and at the provider."""
    job_id, theirs = running_job(person, sandbox)
    person.openai.fine_tuning.jobs.cancel(job_id)
    sandbox.arm("POST", CANCEL, **fault)
    return job_id, theirs


def job_with_unknown_create(person: Person, sandbox: Sandbox, drop: str) -> str:
    """A job whose create had no answer and is searched for at the next step."""
    job_id = ready_job(person)
    sandbox.arm("POST", JOBS, drop=drop)
    step(Job, job_id)
    pass_create_grace(job_id)
    return job_id


@pytest.mark.parametrize("fault", [{"status": 404}, {"status": 400}, {"status": 200, "body": "<html>"}], ids=str)
def test_a_job_whose_create_cannot_be_searched_for_fails_after_a_day(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    job_id = job_with_unknown_create(alice, sandbox, drop="before")
    sandbox.arm("GET", JOBS, times=3, **fault)
    for hours, attempts in ((23.9, 1000), (48, failures.MIN_ATTEMPTS_WITHOUT_ANSWER - 1)):
        unanswered(job_id, hours, attempts)
        step(Job, job_id)
        assert row(Job, job_id).status is JobStatus.VALIDATING_FILES
    step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert (job.status, job.error.code if job.error else None) == ("failed", "create_unknown")
    assert (row(Job, job_id).due_at, row(Job, job_id).slot) == (None, None)


def test_a_job_whose_create_cannot_be_searched_for_is_cancelled_after_a_day_if_requested(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id = job_with_unknown_create(alice, sandbox, drop="after")
    alice.openai.fine_tuning.jobs.cancel(job_id)
    unanswered(job_id)
    sandbox.arm("GET", JOBS, status=404)
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.CANCELLED
    assert "it may go on there" in warnings(alice, job_id)[0]


def test_a_cancel_that_is_never_answered_ends_after_a_day(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    with settings(TUNERY_PROVIDER__BASE_URL=ELSEWHERE):
        step(Job, job_id)
        assert row(Job, job_id).request is JobRequest.CANCEL
        unanswered(job_id, next_action=NextAction.REQUEST)
        step(Job, job_id)
    job = row(Job, job_id)
    assert (job.status, job.request, job.slot, job.due_at) == (JobStatus.CANCELLED, None, None, None)
    assert "it may go on there" in warnings(alice, job_id)[0]


def test_a_pause_that_is_never_answered_ends_no_job(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.pause(job_id)
    unanswered(job_id)
    with settings(TUNERY_PROVIDER__BASE_URL=ELSEWHERE):
        step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.RUNNING, JobRequest.PAUSE)


def test_a_job_whose_polls_are_answered_is_polled_to_its_end_though_its_cancel_fails(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id, theirs = job_to_be_cancelled(alice, sandbox, times=20, status=503)
    unanswered(job_id, next_action=NextAction.POLL)
    for _ in range(6):
        step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.RUNNING, JobRequest.CANCEL)
    sandbox.move(theirs, status="succeeded")
    for _ in range(2):
        step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert (job.status, job.fine_tuned_model) == ("succeeded", sandbox.jobs()[0].fine_tuned_model)


def test_a_job_in_the_providers_list_counts_as_an_answer(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = job_to_be_cancelled(alice, sandbox, times=20, status=500)
    sandbox.arm("GET", f"{JOBS}/*/events", times=20, status=500)
    for _ in range(2):
        unanswered(job_id)
        read_list()
        step(Job, job_id)
        assert row(Job, job_id).status is JobStatus.RUNNING
    unanswered(job_id)
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.CANCELLED


def test_a_create_without_answer_is_searched_for_even_after_a_day(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    with settings(TUNERY_PROVIDER__BASE_URL=ELSEWHERE):
        step(Job, job_id)
    unanswered(job_id)
    sandbox.arm("POST", JOBS, drop="after")
    step(Job, job_id)
    pass_create_grace(job_id)
    sandbox.arm("GET", JOBS, status=503)
    for _ in range(2):
        step(Job, job_id)
    assert row(Job, job_id).provider_job_id == sandbox.jobs()[0].id


def test_a_throttled_cancel_is_sent_later_and_the_job_polled_meanwhile(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = job_to_be_cancelled(alice, sandbox, times=20, status=429)
    unanswered(job_id)
    step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).unanswered_since) == (JobStatus.RUNNING, None)
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


def test_throttled_polls_do_not_keep_a_cancel_from_being_sent(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = job_to_be_cancelled(alice, sandbox, times=1, status=429)
    sandbox.arm("GET", f"{JOBS}/*/events", times=20, status=429)
    for _ in range(3):
        step(Job, job_id)
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/cancel") == 2
    assert row(Job, job_id).request is None


def test_a_change_in_the_list_is_fetched_before_the_next_action(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    unanswered(job_id)
    sandbox.move(theirs, status="succeeded")
    with transaction() as session:
        plan = watch.watch.plan(session, session.get_one(Watch, ids(Watch)[0]))
    assert plan is not None
    watch.watch.call(plan)  # and nothing is recorded yet
    assert row(Job, job_id).unanswered_since is None


@pytest.mark.parametrize("status", [404, 409])
@pytest.mark.parametrize("trouble", [0, 50])
def test_a_refused_cancel_is_sent_again(alice: Person, sandbox: Sandbox, status: int, trouble: int) -> None:
    job_id, _ = job_to_be_cancelled(alice, sandbox, times=REFUSED_SOME_TIMES, status=status)
    change(Job, job_id, retries=trouble)
    work(3 * REFUSED_SOME_TIMES)
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/cancel") == REFUSED_SOME_TIMES + 1
    assert row(Job, job_id).status is JobStatus.CANCELLED


@pytest.mark.parametrize("status", [404, 409])
def test_a_cancel_that_is_always_refused_ends_with_the_job(alice: Person, sandbox: Sandbox, status: int) -> None:
    job_id, theirs = job_to_be_cancelled(alice, sandbox, times=50, status=status)
    for _ in range(REFUSED_SOME_TIMES):
        step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.RUNNING, JobRequest.CANCEL)
    sandbox.move(theirs, status="succeeded")
    work(4)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.SUCCEEDED, None)


@pytest.mark.parametrize("trouble", [0, 50])
def test_a_refused_pause_is_sent_five_times_whatever_else_fails(alice: Person, sandbox: Sandbox, trouble: int) -> None:
    job_id, _ = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.pause(job_id)
    change(Job, job_id, retries=trouble)
    sandbox.arm("POST", PAUSE, times=50, status=409)
    work(3 * request.MAX_IMPOSSIBLE_ANSWERS)
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/pause") == request.MAX_IMPOSSIBLE_ANSWERS
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.RUNNING, None)
    assert any("refused to pause" in warning for warning in warnings(alice, job_id))
    alice.openai.fine_tuning.jobs.pause(job_id)
    assert row(Job, job_id).refusal_count == 0


def test_a_job_that_was_given_up_is_cancelled_at_the_provider_after_a_failed_attempt(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id, theirs = running_job(alice, sandbox)
    change(Job, job_id, failures=get_settings().max_step_failures + 1, retries=50, refusal_count=50)
    sandbox.arm("POST", CANCEL, times=request.MAX_IMPOSSIBLE_ANSWERS - 1, status=404)
    for _ in range(request.MAX_IMPOSSIBLE_ANSWERS + 1):
        step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.FAILED, None)
    assert sandbox.openai.fine_tuning.jobs.retrieve(theirs).status == "cancelled"


def test_a_job_that_was_given_up_and_is_unknown_to_the_provider_frees_its_slot(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    change(Job, job_id, failures=get_settings().max_step_failures + 1)
    sandbox.arm("POST", CANCEL, times=50, status=404)
    work(request.MAX_IMPOSSIBLE_ANSWERS + 3)
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/cancel") == request.MAX_IMPOSSIBLE_ANSWERS
    assert (row(Job, job_id).due_at, row(Job, job_id).slot) == (None, None)
