"""When a job is polled next, and whether its status is asked for, as tables."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import Job, JobStatus, Watch
from shared.settings import get_settings
from tests.worker.support import change, ids, running_job
from tests.world import Person, Sandbox, row
from worker.jobs import poll_schedule

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
EVERY, CEILING = 5 * SECOND, MINUTE  # the defaults of `poll_every` and `poll_ceiling`


@pytest.fixture
def job_id(alice: Person, sandbox: Sandbox) -> str:
    """A running job of an account whose list was never read."""
    assert (get_settings().poll_every, get_settings().poll_ceiling) == (EVERY, CEILING)
    return running_job(alice, sandbox)[0]


def read_list(ago: timedelta | None) -> None:
    listed_at = None if ago is None else utc_now() - ago
    change(Watch, ids(Watch)[0], listed_at=listed_at, due_at=utc_now() + HOUR)


@pytest.mark.parametrize(
    ("columns", "changed_ago", "listed_ago", "asks"),
    [
        # The list has shown something new: the status is not known.
        ({"provider_status": None}, SECOND, SECOND, True),
        # The list was read lately and agrees: only the events are asked for.
        ({}, SECOND, SECOND, False),
        ({}, 20 * SECOND, 10 * SECOND, False),
        # The list was read long before the last news, or never.
        ({}, 20 * SECOND, 40 * SECOND, True),
        ({}, SECOND, 30 * SECOND, True),
        ({}, SECOND, None, True),
        # Nothing was new for half the longest interval: the job is asked for by its id.
        ({}, CEILING / 2 - 15 * SECOND, SECOND, False),
        ({}, CEILING / 2 + SECOND, SECOND, True),
        # What the provider says is a status that the job has yet to move to.
        ({"provider_status": "succeeded"}, SECOND, SECOND, True),
        ({"provider_status": "paused"}, SECOND, SECOND, True),
        ({"provider_status": "a new word"}, SECOND, SECOND, False),
    ],
)
def test_the_status_is_asked_for(
    job_id: str, columns: dict[str, Any], changed_ago: timedelta, listed_ago: timedelta | None, asks: bool
) -> None:
    read_list(listed_ago)
    change(Job, job_id, changed_at=utc_now() - changed_ago, **columns)
    with transaction() as session:
        assert poll_schedule.is_behind(session, session.get_one(Job, job_id)) is asks


@pytest.mark.parametrize(
    ("status", "changed_ago", "listed_ago", "is_new", "shortest", "longest"),
    [
        # After something new: at once the shortest interval, then as long as it took.
        (JobStatus.RUNNING, timedelta(), SECOND, True, EVERY, EVERY),
        (JobStatus.RUNNING, 20 * SECOND, SECOND, True, 20 * SECOND, 20 * SECOND),
        (JobStatus.RUNNING, HOUR, SECOND, True, CEILING, CEILING),
        # Without news the intervals are spread by a tenth, and are as long as nothing was new.
        (JobStatus.RUNNING, timedelta(), SECOND, False, EVERY * 0.9, EVERY * 1.1),
        (JobStatus.RUNNING, 20 * SECOND, SECOND, False, 18 * SECOND, 22 * SECOND),
        (JobStatus.RUNNING, HOUR, SECOND, False, CEILING * 0.9, CEILING * 1.1),
        # A job that does not train has no events: the list shows its end.
        (JobStatus.QUEUED, timedelta(), SECOND, True, CEILING * 0.9, CEILING * 1.1),
        (JobStatus.QUEUED, timedelta(), SECOND, False, CEILING * 0.9, CEILING * 1.1),
        # Without a list each job is polled by itself, whatever its status.
        (JobStatus.QUEUED, timedelta(), None, True, EVERY, EVERY),
        (JobStatus.QUEUED, timedelta(), 3 * CEILING, False, EVERY * 0.9, EVERY * 1.1),
        (JobStatus.RUNNING, 20 * SECOND, None, True, 20 * SECOND, 20 * SECOND),
    ],
)
def test_the_next_poll_comes_after(
    job_id: str,
    status: JobStatus,
    changed_ago: timedelta,
    listed_ago: timedelta | None,
    is_new: bool,
    shortest: timedelta,
    longest: timedelta,
) -> None:
    read_list(listed_ago)
    began = utc_now()
    change(Job, job_id, status=status, changed_at=began - changed_ago)
    with transaction() as session:
        next_at = poll_schedule.next_poll_at(session, session.get_one(Job, job_id), is_new=is_new)
    taken = utc_now() - began
    assert began + shortest <= next_at <= began + longest + 2.2 * taken


def test_jobs_without_news_take_turns(job_id: str) -> None:
    read_list(SECOND)
    change(Job, job_id, changed_at=utc_now() - HOUR)
    change(Watch, ids(Watch)[0], next_poll_at=utc_now() + HOUR)
    with transaction() as session:
        job = session.get_one(Job, job_id)
        turns = [poll_schedule.next_poll_at(session, job, is_new=False) for _ in range(3)]
    apart = 2 * MINUTE / get_settings().quiet_polls_per_minute  # two calls: for the job, and for its events
    assert [later - earlier for earlier, later in pairwise(turns)] == [apart, apart]
    assert turns[0] > utc_now() + 59 * MINUTE
    assert row(Watch, ids(Watch)[0]).next_poll_at == turns[-1]
