"""What a job does next: polls and attempts at a request alternate, and each action leads to those that are drawn."""

from typing import Any

import pytest

from shared.db.times import utc_now
from shared.jobs.models import Job, JobRequest, JobStatus, NextAction
from shared.jobs.transitions import NEXT_ACTIONS, set_next_action
from shared.settings import get_settings
from tests.worker.support import calls, change, pass_create_grace, ready_job, running_job, step_while
from tests.world import Person, Sandbox, row, step
from worker.jobs import job_step

JOBS = "/v1/fine_tuning/jobs"
PREPARE, FIND, REQUEST, POLL = NextAction.PREPARE, NextAction.FIND, NextAction.REQUEST, NextAction.POLL


def next_actions(job_id: str, steps: int) -> list[NextAction | None]:
    """The job's next action before the first of these steps, and after each of them."""
    found = [row(Job, job_id).next_action]
    for _ in range(steps):
        change(Job, job_id, due_at=utc_now())
        step(Job, job_id)
        found.append(row(Job, job_id).next_action)
    return found


def attempts(sandbox: Sandbox, request: str) -> int:
    return calls(sandbox, f"POST {JOBS}/{{job_id}}/{request}")


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429}, {"status": 409}, {"drop": "before"}], ids=str)
def test_attempts_at_a_request_and_polls_alternate(alice: Person, sandbox: Sandbox, fault: dict[str, Any]) -> None:
    job_id, _ = running_job(alice, sandbox)
    sandbox.arm("POST", f"{JOBS}/*/pause", times=2, **fault)
    alice.openai.fine_tuning.jobs.pause(job_id)
    assert next_actions(job_id, 5) == [REQUEST, POLL, REQUEST, POLL, REQUEST, POLL]
    assert (attempts(sandbox, "pause"), row(Job, job_id).request) == (3, None)


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429}, {"status": 404}, {"drop": "before"}], ids=str)
def test_a_poll_that_fails_between_two_attempts_is_not_repeated_before_the_second(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    job_id, _ = running_job(alice, sandbox)
    sandbox.arm("POST", f"{JOBS}/*/cancel", status=500)
    sandbox.arm("GET", f"{JOBS}/*", **fault)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    assert next_actions(job_id, 3) == [REQUEST, POLL, REQUEST, POLL]
    assert attempts(sandbox, "cancel") == 2


def test_a_newer_request_goes_before_the_poll_of_what_came_of_the_first(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.pause(job_id)
    step_while(job_step.advance, job_id, lambda: alice.openai.fine_tuning.jobs.cancel(job_id))
    assert next_actions(job_id, 1) == [REQUEST, POLL]
    assert (attempts(sandbox, "pause"), attempts(sandbox, "cancel")) == (1, 1)


def test_a_request_during_a_poll_is_passed_on_next(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    assert row(Job, job_id).next_action is POLL
    step_while(job_step.advance, job_id, lambda: alice.openai.fine_tuning.jobs.pause(job_id))
    assert (row(Job, job_id).next_action, row(Job, job_id).retries) == (REQUEST, 0)


def test_a_job_that_was_given_up_is_not_polled_between_two_attempts_to_cancel_it(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id, _ = running_job(alice, sandbox)
    change(Job, job_id, failures=get_settings().max_step_failures + 1)
    sandbox.arm("POST", f"{JOBS}/*/cancel", times=2, status=500)
    assert next_actions(job_id, 4) == [POLL, REQUEST, REQUEST, REQUEST, POLL]
    assert row(Job, job_id).status is JobStatus.FAILED
    assert next_actions(job_id, 1) == [POLL, None]


@pytest.mark.parametrize(("drop", "after_the_search"), [("before", PREPARE), ("after", POLL)])
def test_a_create_in_doubt_is_searched_for(
    alice: Person, sandbox: Sandbox, drop: str, after_the_search: NextAction
) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, drop=drop)
    assert next_actions(job_id, 1) == [PREPARE, FIND]
    pass_create_grace(job_id)
    assert next_actions(job_id, 1) == [FIND, after_the_search]


@pytest.mark.parametrize(
    ("fault", "then"),
    [({"status": 429}, PREPARE), ({"status": 500}, FIND), ({"status": 409}, FIND), ({"status": 400}, None)],
    ids=str,
)
def test_what_follows_a_create_that_fails(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any], then: NextAction | None
) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, **fault)
    assert next_actions(job_id, 1) == [PREPARE, then]


def test_a_request_during_the_create_follows_it_at_once(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    step_while(job_step.advance, job_id, lambda: alice.openai.fine_tuning.jobs.cancel(job_id))
    assert (row(Job, job_id).next_action, row(Job, job_id).request) == (REQUEST, JobRequest.CANCEL)


EVERY: list[NextAction | None] = [None, *NextAction]


@pytest.mark.parametrize("before", EVERY)
@pytest.mark.parametrize("then", EVERY)
def test_only_an_action_that_is_drawn_can_follow(before: NextAction | None, then: NextAction | None) -> None:
    job = Job(
        project_id="proj_1",
        organization_id="org-1",
        credential_id="cred_1",
        provider="openai",
        training_file="file-1",
        model="gpt-4o-mini",
        seed=1,
        next_action=before,
    )
    if before is then or (before, then) in NEXT_ACTIONS:
        set_next_action(job, then)
        assert job.next_action is then
    else:
        with pytest.raises(ValueError, match="cannot follow"):
            set_next_action(job, then)


def test_every_action_has_a_step() -> None:
    assert set(job_step.ACTIONS) == set(NextAction)
