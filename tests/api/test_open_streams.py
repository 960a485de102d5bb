"""Streams share one reader, and a key and a project may have only so many of them open."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from api.streams.event_feed import (
    MAX_BUFFERED_EVENTS,
    MAX_EVENTS_PER_POLL,
    EventEntry,
    EventPolling,
    ProjectFeed,
    window_start,
)
from api.streams.polling import Cursor
from shared.database import transaction
from shared.db.times import utc_now
from shared.projects import service as projects
from shared.projects.callers import Presented
from shared.webhooks.event_types import EventType
from tests.api.conftest import serving_under
from tests.api.test_job_stream import following as following_job
from tests.api.test_webhook_events import PATH, STREAM, following
from tests.worker.support import write_event
from tests.world import Person


@pytest.fixture(scope="module")
def narrow_server(server: str) -> Iterator[str]:
    limits = {"TUNERY_RATE_LIMITS__STREAMS_PER_KEY": "2", "TUNERY_RATE_LIMITS__STREAMS_PER_PROJECT": "3"}
    with serving_under(**limits) as address:
        yield address


def another_key(person: Person, base_url: str) -> Person:
    with transaction() as session:
        _, secret = projects.create_api_key(session, person.project_id, "another")
    return Person(base_url, secret, person.project_id)


def test_a_key_and_a_project_may_have_only_so_many_streams(alice: Person, bob: Person, narrow_server: str) -> None:
    other = another_key(alice, narrow_server)
    with ExitStack() as streams:
        streams.callback(other.close)
        streams.enter_context(following(alice, narrow_server))
        job_stream = streams.enter_context(following_job(alice, alice.create_job(), base_url=narrow_server))
        next(job_stream)
        refused = alice.http.get(f"{narrow_server}{PATH}", headers=STREAM)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
        assert "API key has 2 open streams and may have 2" in refused.json()["error"]["message"]
        assert int(refused.headers["retry-after"]) > 0
        with following(other, narrow_server):
            refused = other.http.get(f"{narrow_server}{PATH}", headers=STREAM)
            assert "project has 3 open streams and may have 3" in refused.json()["error"]["message"]
        with following(bob, narrow_server):
            pass
    with following(alice, narrow_server):
        """The places of the closed streams are free again."""


def test_streams_of_several_projects_each_get_their_own_events(alice: Person, bob: Person) -> None:
    with ExitStack() as streams:
        hers = [streams.enter_context(following(alice)) for _ in range(3)]
        filtered = streams.enter_context(following(alice, type="dataset.failed"))
        his = streams.enter_context(following(bob))
        for number in range(MAX_EVENTS_PER_POLL + 1):
            write_event(bob, id=f"ftjob-{number}")
        new = [write_event(alice), write_event(alice, EventType.DATASET_FAILED)]
        assert [stream.ids(2) for stream in hers] == [new] * 3
        assert filtered.ids(1) == new[1:]
        assert len(set(his.ids(MAX_EVENTS_PER_POLL + 1))) == MAX_EVENTS_PER_POLL + 1


def entry(number: int) -> EventEntry:
    return EventEntry(f"evt_{number:026}", "t", "o", utc_now(), b"")


def test_a_poll_that_is_full_is_followed_by_one_from_its_last_event() -> None:
    feed = ProjectFeed()
    later = window_start()
    full = [entry(number)._replace(id=f"{later}{number:04}") for number in range(MAX_EVENTS_PER_POLL)]
    now = window_start()
    assert not feed.found(full, now)
    assert feed.since <= full[-1].id
    assert feed.found([], window_start())


def test_a_slow_stream_of_events_must_read_the_database_again() -> None:
    async def fall_behind() -> None:
        feed = ProjectFeed()
        cursor = Cursor(feed, Presented("secret", ""))
        feed.cursors.add(cursor)
        feed.put([entry(number) for number in range(MAX_BUFFERED_EVENTS + 1)])
        assert len(feed.entries) == MAX_BUFFERED_EVENTS
        assert cursor.take() is None
        assert cursor.take() == []

    asyncio.run(fall_behind())


def test_a_poll_wakes_only_the_streams_for_which_there_is_something() -> None:
    async def poll_twice() -> None:
        polling, loud, quiet = EventPolling(), ProjectFeed(), ProjectFeed()
        cursors = [Cursor(feed, Presented("secret", "")) for feed in (loud, loud, quiet)]
        polling.buffers = {"proj_loud": loud, "proj_quiet": quiet}
        for cursor in cursors:
            cursor.buffer.cursors.add(cursor)
        loud.found([entry(1)], window_start())
        quiet.found([], window_start())
        await polling.wake()
        assert [cursor.has_news.is_set() for cursor in cursors] == [True, True, False]

    asyncio.run(poll_twice())
