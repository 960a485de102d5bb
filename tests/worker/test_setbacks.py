"""A provider that refuses, or cannot be asked, for so long that nobody waits for it any more."""

from datetime import timedelta
from typing import Any

import pytest

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import Job, JobRequest, JobStatus, NextAction, Watch
from shared.settings import get_settings
from tests.worker.levers import calls, change, ids, let_the_grace_pass, ready_job, running_job, settings
from tests.worker.watched import read_list
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


def unheard(
    job_id: str, hours: float = 24, attempts: int = failures.MIN_ATTEMPTS_WITHOUT_ANSWER, **values: Any
) -> None:
    """As if nobody had answered for so long."""
    change(Job, job_id, unanswered_since=utc_now() - timedelta(hours=hours), retries=attempts, **values)


def job_to_be_cancelled(person: Person, sandbox: Sandbox, **fault: Any) -> tuple[str, str]:
    """One that trains; the provider's answer to its cancel will be this. Its id here and there."""
    job_id, theirs = running_job(person, sandbox)
    person.openai.fine_tuning.jobs.cancel(job_id)
    sandbox.arm("POST", CANCEL, **fault)
    return job_id, theirs


def job_in_doubt(person: Person, sandbox: Sandbox, drop: str) -> str:
    """Nobody knows whether it was created, and it is time to look for it."""
    job_id = ready_job(person)
    sandbox.arm("POST", JOBS, drop=drop)
    step(Job, job_id)
    let_the_grace_pass(job_id)
    return job_id


@pytest.mark.parametrize("fault", [{"status": 404}, {"status": 400}, {"status": 200, "body": "<html>"}], ids=str)
def test_a_job_that_cannot_be_looked_for_fails_after_a_day_and_not_before(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    job_id = job_in_doubt(alice, sandbox, drop="before")
    sandbox.arm("GET", JOBS, times=3, **fault)
    for hours, attempts in ((23.9, 1000), (48, failures.MIN_ATTEMPTS_WITHOUT_ANSWER - 1)):
        unheard(job_id, hours, attempts)
        step(Job, job_id)
        assert row(Job, job_id).status is JobStatus.VALIDATING_FILES
    step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert (job.status, job.error.code if job.error else None) == ("failed", "create_unknown")
    assert (row(Job, job_id).due_at, row(Job, job_id).slot) == (None, None)


def test_a_job_that_cannot_be_looked_for_is_cancelled_after_a_day_if_that_was_asked_for(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id = job_in_doubt(alice, sandbox, drop="after")
    alice.openai.fine_tuning.jobs.cancel(job_id)
    unheard(job_id)
    sandbox.arm("GET", JOBS, status=404)
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.CANCELLED
    assert "it may go on there" in warnings(alice, job_id)[0]


def test_a_cancel_at_an_account_that_is_gone_ends_after_a_day(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    with settings(TUNERY_PROVIDER__BASE_URL=ELSEWHERE):
        step(Job, job_id)
        assert row(Job, job_id).request is JobRequest.CANCEL
        unheard(job_id, next_action=NextAction.REQUEST)
        step(Job, job_id)
    job = row(Job, job_id)
    assert (job.status, job.request, job.slot, job.due_at) == (JobStatus.CANCELLED, None, None, None)
    assert "it may go on there" in warnings(alice, job_id)[0]


def test_a_pause_at_an_account_that_is_gone_ends_no_job(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.pause(job_id)
    unheard(job_id)
    with settings(TUNERY_PROVIDER__BASE_URL=ELSEWHERE):
        step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.RUNNING, JobRequest.PAUSE)


def test_a_job_whose_cancel_alone_nobody_answers_is_watched_to_its_end(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = job_to_be_cancelled(alice, sandbox, times=20, status=503)
    unheard(job_id, next_action=NextAction.POLL)
    for _ in range(6):
        step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.RUNNING, JobRequest.CANCEL)
    sandbox.move(theirs, status="succeeded")
    for _ in range(2):
        step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert (job.status, job.fine_tuned_model) == ("succeeded", sandbox.jobs()[0].fine_tuned_model)


def test_an_account_whose_list_tells_of_the_job_is_not_gone(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = job_to_be_cancelled(alice, sandbox, times=20, status=500)
    sandbox.arm("GET", f"{JOBS}/*/events", times=20, status=500)
    for _ in range(2):
        unheard(job_id)
        read_list()
        step(Job, job_id)
        assert row(Job, job_id).status is JobStatus.RUNNING
    unheard(job_id)
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.CANCELLED


def test_after_a_day_without_a_create_the_job_is_searched_for_all_the_same(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    with settings(TUNERY_PROVIDER__BASE_URL=ELSEWHERE):
        step(Job, job_id)
    unheard(job_id)
    sandbox.arm("POST", JOBS, drop="after")
    step(Job, job_id)
    let_the_grace_pass(job_id)
    sandbox.arm("GET", JOBS, status=503)
    for _ in range(2):
        step(Job, job_id)
    assert row(Job, job_id).provider_job_id == sandbox.jobs()[0].id


def test_a_cancel_that_comes_too_often_is_told_later_and_looked_after_between(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = job_to_be_cancelled(alice, sandbox, times=20, status=429)
    unheard(job_id)
    step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).unanswered_since) == (JobStatus.RUNNING, None)
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


def test_looks_that_come_too_often_keep_no_cancel_from_being_told(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = job_to_be_cancelled(alice, sandbox, times=1, status=429)
    sandbox.arm("GET", f"{JOBS}/*/events", times=20, status=429)
    for _ in range(3):
        step(Job, job_id)
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/cancel") == 2
    assert row(Job, job_id).request is None


def test_what_the_list_tells_is_heard_before_the_job_goes_on(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    unheard(job_id)
    sandbox.move(theirs, status="succeeded")
    with transaction() as session:
        plan = watch.watch.plan(session, session.get_one(Watch, ids(Watch)[0]))
    assert plan is not None
    watch.watch.call(plan)  # and nothing is recorded yet
    assert row(Job, job_id).unanswered_since is None


@pytest.mark.parametrize("status", [404, 409])
@pytest.mark.parametrize("trouble", [0, 50])
def test_a_cancel_that_is_not_possible_at_first_is_told_again(
    alice: Person, sandbox: Sandbox, status: int, trouble: int
) -> None:
    job_id, _ = job_to_be_cancelled(alice, sandbox, times=REFUSED_SOME_TIMES, status=status)
    change(Job, job_id, retries=trouble)
    work(3 * REFUSED_SOME_TIMES)
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/cancel") == REFUSED_SOME_TIMES + 1
    assert row(Job, job_id).status is JobStatus.CANCELLED


@pytest.mark.parametrize("status", [404, 409])
def test_a_cancel_that_is_never_possible_is_over_when_the_job_is(alice: Person, sandbox: Sandbox, status: int) -> None:
    job_id, theirs = job_to_be_cancelled(alice, sandbox, times=50, status=status)
    for _ in range(REFUSED_SOME_TIMES):
        step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.RUNNING, JobRequest.CANCEL)
    sandbox.move(theirs, status="succeeded")
    work(4)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.SUCCEEDED, None)


@pytest.mark.parametrize("trouble", [0, 50])
def test_a_pause_that_is_not_possible_is_told_five_times_whatever_else_goes_wrong(
    alice: Person, sandbox: Sandbox, trouble: int
) -> None:
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


def test_a_job_that_was_given_up_is_cancelled_there_though_not_at_the_first_answer(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id, theirs = running_job(alice, sandbox)
    change(Job, job_id, failures=get_settings().max_step_failures + 1, retries=50, refusal_count=50)
    sandbox.arm("POST", CANCEL, times=request.MAX_IMPOSSIBLE_ANSWERS - 1, status=404)
    for _ in range(request.MAX_IMPOSSIBLE_ANSWERS + 1):
        step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.FAILED, None)
    assert sandbox.openai.fine_tuning.jobs.retrieve(theirs).status == "cancelled"


def test_a_job_that_was_given_up_and_is_not_known_there_frees_its_slot(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    change(Job, job_id, failures=get_settings().max_step_failures + 1)
    sandbox.arm("POST", CANCEL, times=50, status=404)
    work(request.MAX_IMPOSSIBLE_ANSWERS + 3)
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/cancel") == request.MAX_IMPOSSIBLE_ANSWERS
    assert (row(Job, job_id).due_at, row(Job, job_id).slot) == (None, None)
