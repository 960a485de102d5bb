"""Reading the list of an account's jobs: how far, and who is told of what it shows."""

import threading
from datetime import timedelta

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import Job, JobStatus
from tests.worker.support import change, running_job, step_while
from tests.worker.watch_calls import LATER, many, read_list, since, spent, wait_of
from tests.world import Person, Sandbox, row
from worker.jobs import job_step
from worker.runtime.steps import run


def test_one_call_shows_that_nothing_is_new_of_a_hundred_jobs(alice: Person, sandbox: Sandbox) -> None:
    known = many(alice, sandbox, 100)
    read_list()  # of copies that were made a second later the estimate is another
    for job_id in known:
        change(Job, job_id, due_at=utc_now() + LATER)
    before = spent(sandbox)
    read_list()
    assert since(sandbox, before) == (1, 0, 0)
    assert all(wait_of(Job, job_id) > timedelta(minutes=1) for job_id in known)


def test_the_list_is_read_until_all_jobs_are_seen_and_no_further(alice: Person, sandbox: Sandbox) -> None:
    known = many(alice, sandbox, 150)
    sandbox.copies(row(Job, known[0]).provider_job_id, 50)  # somebody else's, of the same account
    before = spent(sandbox)
    read_list()
    assert since(sandbox, before)[0] == 2


def test_what_the_list_shows_during_a_look_is_looked_at_next(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    read_list()

    def end() -> None:
        sandbox.move(theirs, status="succeeded")
        read_list()

    step_while(job_step.advance, job_id, end)
    assert row(Job, job_id).status is JobStatus.RUNNING
    run(job_step.advance, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


def test_the_last_job_of_a_long_list_is_not_left_to_a_look_of_its_own(alice: Person, sandbox: Sandbox) -> None:
    oldest, *_ = many(alice, sandbox, 101)
    sandbox.move(row(Job, oldest).provider_job_id, status="succeeded")
    before = spent(sandbox)
    read_list()
    assert since(sandbox, before) == (2, 0, 0)
    assert wait_of(Job, oldest) <= timedelta()


def test_pages_that_show_no_job_of_ours_are_not_read_for_long(alice: Person, sandbox: Sandbox) -> None:
    (known,) = many(alice, sandbox, 1)
    sandbox.copies(row(Job, known).provider_job_id, 300)  # somebody else's, of the same account
    before = spent(sandbox)
    read_list()
    assert since(sandbox, before) == (1, 0, 0)
    assert row(Job, known).provider_status is None


def test_a_job_whose_step_just_begins_or_ends_is_told_a_moment_later(alice: Person, sandbox: Sandbox) -> None:
    (known,) = many(alice, sandbox, 1)
    sandbox.move(row(Job, known).provider_job_id, status="succeeded")
    with transaction() as session:
        session.get_one(Job, known, with_for_update={"key_share": True})
        reading = threading.Thread(target=read_list)
        reading.start()
        reading.join(0.2)
    reading.join()
    assert row(Job, known).provider_status is None
    assert wait_of(Job, known) <= timedelta()
