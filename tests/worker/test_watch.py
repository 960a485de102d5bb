"""The watch of an account: all of its jobs by one list, and looks at those of which something is new."""

from datetime import timedelta
from typing import Any

import pytest

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import Job, JobStatus, Watch
from shared.projects.models import Credential
from shared.settings import get_settings
from tests.worker.support import change, ids, running_job, settings
from tests.worker.watch_calls import JOBS, many, read_list, since, spent, wait_of
from tests.world import Person, Sandbox, row, step
from worker.jobs import job_step, watch
from worker.jobs.watch import Known, Plan, Shown
from worker.providers.protocol import ProviderJob
from worker.runtime.steps import run


def look(job_id: str) -> None:
    """As if its time had come; what the list has told counts."""
    change(Job, job_id, due_at=utc_now())
    run(job_step.advance, job_id)


def test_a_job_that_the_list_shows_otherwise_is_looked_at_now_and_others_are_not(
    alice: Person, sandbox: Sandbox
) -> None:
    first, second = many(alice, sandbox, 2)
    sandbox.move(row(Job, second).provider_job_id, status="succeeded")
    read_list()
    assert wait_of(Job, second) <= timedelta() < timedelta(minutes=1) < wait_of(Job, first)
    run(job_step.advance, second)
    job = alice.openai.fine_tuning.jobs.retrieve(second)
    events = alice.openai.fine_tuning.jobs.list_events(second, limit=100).data
    assert (job.status, events[0].message) == ("succeeded", "The job has successfully completed")
    assert wait_of(Watch, ids(Watch)[0]) <= get_settings().poll_every * 1.1


def test_a_look_at_a_job_of_which_the_list_told_costs_one_call(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    read_list()
    sandbox.move(theirs, step=3)
    before = spent(sandbox)
    change(Job, job_id, changed_at=utc_now())
    look(job_id)
    assert since(sandbox, before) == (0, 0, 1)
    assert row(Job, job_id).step == 3


def test_a_job_is_asked_for_its_status_when_the_list_was_not_read_for_long(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    read_list()
    change(Watch, ids(Watch)[0], listed_at=utc_now() - 2 * get_settings().poll_ceiling)
    sandbox.move(theirs, status="succeeded")
    look(job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


def test_a_cancel_is_seen_at_once_however_lately_the_list_was_read(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    read_list()
    alice.openai.fine_tuning.jobs.cancel(job_id)
    for _ in range(2):
        run(job_step.advance, job_id)
    assert row(Job, job_id).status is JobStatus.CANCELLED


def test_looks_come_soon_after_news_and_ever_later_without(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    read_list()
    every, ceiling = get_settings().poll_every, get_settings().poll_ceiling
    waits = []
    for age in (2, 4, 100):
        change(Job, job_id, changed_at=utc_now() - age * every)
        look(job_id)
        waits.append(wait_of(Job, job_id))
    assert 1.7 * every < waits[0] < 2.3 * every < 3.5 * every < waits[1] < 4.5 * every < 0.8 * ceiling < waits[2]
    sandbox.move(theirs, step=3)
    look(job_id)
    assert wait_of(Job, job_id) <= every


def test_jobs_of_which_nothing_is_new_are_looked_at_in_turn_and_not_more_often_than_is_said(
    alice: Person, sandbox: Sandbox
) -> None:
    known = many(alice, sandbox, 4)
    read_list()
    for job_id in known:
        look(job_id)
        change(Job, job_id, changed_at=utc_now() - timedelta(hours=1))
    with settings(TUNERY_QUIET_POLLS_PER_MINUTE="0.5"):
        for job_id in known:
            look(job_id)
    waits = [wait_of(Job, job_id) for job_id in known]
    assert waits == sorted(waits)
    assert [round(wait / timedelta(minutes=2)) for wait in waits] == [2, 4, 6, 8]  # two calls each, so two turns each


def test_a_job_that_waits_at_the_provider_needs_no_look_until_the_list_shows_it_otherwise(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id, theirs = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.pause(job_id)
    run(job_step.advance, job_id)
    read_list()
    run(job_step.advance, job_id)
    assert row(Job, job_id).status is JobStatus.PAUSED
    assert wait_of(Job, job_id) > 0.8 * get_settings().poll_ceiling
    sandbox.openai.fine_tuning.jobs.resume(theirs)
    read_list()
    run(job_step.advance, job_id)
    assert row(Job, job_id).status is JobStatus.QUEUED


def test_the_list_is_read_ever_less_often_while_it_shows_nothing_new(alice: Person, sandbox: Sandbox) -> None:
    running_job(alice, sandbox)
    (watch_id,) = ids(Watch)
    waits = []
    for age in (0, 16, 100):
        change(Watch, watch_id, changed_at=utc_now() - age * get_settings().poll_every)
        read_list()
        waits.append(wait_of(Watch, watch_id) / get_settings().poll_every)
    assert 0.2 < waits[0] < 0.6 < 3.5 < waits[1] < 4.6 < 10 < waits[2] < 14  # of one page, twice in the interval


@pytest.mark.parametrize(
    ("finishes_in", "pages", "least", "most"),
    [
        (None, 1, 53, 66),  # nothing was new for an hour
        (300, 1, 53, 66),
        (30, 1, 26, 34),
        (0.1, 1, 1.9, 3),
        (-5, 1, 1.9, 3),  # about to finish
        (0.1, 2, 53, 66),  # which costs more calls
    ],
)
def test_the_list_is_read_when_a_job_is_expected_to_finish(
    clean: str, finishes_in: float | None, pages: int, least: float, most: float
) -> None:
    now = utc_now()
    quiet = Watch(credential_id="cred_1", changed_at=now - timedelta(hours=1))
    shown = Shown(now, pages, finishes_at=None if finishes_in is None else now + timedelta(seconds=finishes_in))
    wait = watch._wait(quiet, Plan(quiet, Credential(provider="openai", base_url="-"), {}, now), shown)
    assert least < wait.total_seconds() < most


def test_the_first_estimate_counts_and_none_that_is_long_past(clean: str) -> None:
    now, shown = utc_now(), Shown(utc_now())
    known = Known("ftjob-1", ("running", None, None), None, is_hot=False, is_unanswered=False)
    for seconds in (-60, 50, -5, None, 20):
        finish = None if seconds is None else now + timedelta(seconds=seconds)
        watch._compare(shown, known, ProviderJob("-", "running", None, estimated_finish=finish))
    assert shown.finishes_at == now - timedelta(seconds=5)


def test_a_sweep_that_is_slower_than_the_list_is_read_leaves_a_pause_between_two_reads(
    alice: Person, sandbox: Sandbox
) -> None:
    many(alice, sandbox, 1)
    with settings(TUNERY_SWEEP_EVERY="60"):
        read_list()
        assert timedelta(seconds=1) < wait_of(Watch, ids(Watch)[0])


def test_the_list_is_read_often_while_many_jobs_have_news(alice: Person, sandbox: Sandbox) -> None:
    known = many(alice, sandbox, 2)
    for job_id in known:
        change(Job, job_id, changed_at=utc_now())
    change(Watch, ids(Watch)[0], changed_at=utc_now() - timedelta(hours=1))
    read_list()
    assert wait_of(Watch, ids(Watch)[0]) <= get_settings().poll_every * 1.1


def test_a_watch_without_jobs_ends_and_begins_again_with_the_next(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    read_list()
    (watch_id,) = ids(Watch)
    assert row(Watch, watch_id).due_at is None
    running_job(alice, sandbox)
    assert wait_of(Watch, watch_id) <= get_settings().poll_every


@pytest.mark.parametrize(
    "fault", [{"status": 404}, {"status": 405}, {"status": 500}, {"status": 200, "body": "<html>"}], ids=str
)
def test_without_a_list_that_can_be_used_each_job_is_looked_at(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    first, second = many(alice, sandbox, 2)
    sandbox.move(row(Job, second).provider_job_id, status="succeeded")
    sandbox.arm("GET", JOBS, times=9, **fault)
    read_list()
    assert max(wait_of(Job, first), wait_of(Job, second)) <= get_settings().poll_ceiling
    for job_id in (first, second):
        look(job_id)
    assert row(Job, second).status is JobStatus.SUCCEEDED
    assert wait_of(Job, first) < 1.2 * get_settings().poll_ceiling
    sandbox.disarm()


def test_a_job_that_the_list_does_not_show_is_looked_at_singly(alice: Person, sandbox: Sandbox) -> None:
    first, second = many(alice, sandbox, 2)
    page = sandbox.http.get("/v1/fine_tuning/jobs").json()
    page["data"] = [job for job in page["data"] if job["id"] == row(Job, first).provider_job_id]
    sandbox.move(row(Job, second).provider_job_id, status="succeeded")
    sandbox.arm("GET", JOBS, status=200, body=page)
    read_list()
    assert wait_of(Job, second) <= get_settings().poll_ceiling
    look(second)
    assert row(Job, second).status is JobStatus.SUCCEEDED


def test_the_list_of_one_account_wakes_no_job_of_another(alice: Person, sandbox: Sandbox) -> None:
    """Ids are compared within an account: those of two may be equal."""
    (job_id,) = many(alice, sandbox, 1)
    other = row(Job, job_id).model_dump(exclude={"id", "credential_id"})
    with transaction() as session:
        credential = Credential(provider="other", base_url="https://elsewhere.example/v1", due_at=None)
        session.add(credential)
        session.flush()
        theirs = Job(**other, credential_id=credential.id)
        session.add(theirs)
    sandbox.move(row(Job, job_id).provider_job_id, status="succeeded")
    read_list()
    assert wait_of(Job, job_id) <= timedelta()
    assert wait_of(Job, theirs.id) > timedelta(minutes=1)


def test_a_job_without_news_is_asked_for_by_its_id_whatever_the_list_says(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    read_list()
    sandbox.move(theirs, status="succeeded")
    change(Job, job_id, changed_at=utc_now() - get_settings().poll_ceiling)
    change(Watch, ids(Watch)[0], listed_at=utc_now())  # as if the list had said otherwise just now
    look(job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED
