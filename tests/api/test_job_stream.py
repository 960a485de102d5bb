"""GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events with `Accept: text/event-stream`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import httpx2
import pytest
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from api.streams.feed import MAX_BUFFERED_ENTRIES, Entry, Feed
from api.streams.polling import Cursor
from shared.database import transaction
from shared.db.ids import first_id
from shared.db.times import utc_now
from shared.jobs.models import Job, JobEvent, JobStatus
from shared.projects.callers import Presented
from shared.projects.models import ApiKey
from tests.api.conftest import serving_under
from tests.api.training import train
from tests.worker.support import running_job
from tests.world import Person, Sandbox, step

STREAM = {"accept": "text/event-stream"}
NOBODY = Presented("", "")


def path_of(job_id: str) -> str:
    return f"/fine_tuning/jobs/{job_id}/events"


@contextmanager
def following(
    person: Person, job_id: str, last: str | None = None, base_url: str | None = None
) -> Iterator[Iterator[httpx2.ServerSentEvent]]:
    headers = {"last-event-id": last} if last else {}
    with person.http.sse(f"{base_url or person.base_url}{path_of(job_id)}", headers=headers) as source:
        assert source.response.status_code == 200
        yield iter(source)


def ids_of(messages: Iterator[httpx2.ServerSentEvent], count: int) -> list[str]:
    """Return the ids of the next events, without the job itself."""
    return [each.id for each in islice((each for each in messages if each.event == "fine_tuning.job.event"), count)]


def statuses(messages: list[httpx2.ServerSentEvent]) -> list[str]:
    return [shown(each)["status"] for each in messages if each.event == "fine_tuning.job"]


def shown(message: httpx2.ServerSentEvent) -> dict[str, Any]:
    data = message.json()
    assert isinstance(data, dict)
    return data


def listed(person: Person, job_id: str) -> list[dict[str, Any]]:
    """The oldest first."""
    answer = person.http.get(path_of(job_id), params={"limit": 1000}).raise_for_status().json()
    return list(reversed(answer["data"]))


def write_event(person: Person, job_id: str, *times: datetime) -> list[str]:
    """Insert events with ids made at these times in one transaction, and return their ids."""
    rows = [JobEvent(project_id=person.project_id, job_id=job_id, message="Something happened") for _ in times]
    for row, time in zip(rows, times, strict=True):
        row.id = first_id(JobEvent.id_prefix, time)[:-16] + row.id[-16:]
    with transaction() as session:
        session.exec(insert(JobEvent), params=[row.model_dump() for row in rows])
    return [row.id for row in rows]


def ago(seconds: float) -> datetime:
    return utc_now() - timedelta(seconds=seconds)


def test_a_stream_sends_a_job_from_its_beginning_to_its_end(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    with following(alice, job_id) as stream:
        first = next(stream)
        sandbox.move(theirs, status="paused")
        step(Job, job_id)
        before = [first, *islice(stream, len(listed(alice, job_id)) + 1)]
        sandbox.move(theirs, status="succeeded")
        step(Job, job_id)
        messages = [*before, *stream]
    assert statuses(messages) == ["running", "paused", "succeeded"]
    assert [each.json() for each in messages if each.event == "fine_tuning.job.event"] == listed(alice, job_id)
    assert (first.id, messages[-1].id) == ("", job_id)
    assert shown(messages[-1]) == alice.http.get(f"/fine_tuning/jobs/{job_id}").json()


def test_the_stream_of_an_ended_job_sends_everything_and_ends(alice: Person, sandbox: Sandbox) -> None:
    job_id = train(alice, sandbox).id
    write_event(alice, job_id, *(utc_now() + timedelta(milliseconds=number) for number in range(450)))
    with following(alice, job_id) as stream:
        messages = list(stream)
    assert [each.id for each in messages] == [*(event["id"] for event in listed(alice, job_id)), job_id]
    assert statuses(messages) == ["succeeded"]
    answer = alice.http.get(path_of(job_id), headers=STREAM | {"last-event-id": job_id})
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_stream_continues_after_the_last_event_id(alice: Person) -> None:
    job_id = alice.create_job()
    write_event(alice, job_id, ago(90))
    [_, known] = write_event(alice, job_id, ago(31), ago(30))
    [after] = write_event(alice, job_id, ago(29))
    with following(alice, job_id, last=known) as stream:
        assert ids_of(stream, 1) == [after]


def test_an_event_that_was_committed_late_is_not_missed(alice: Person) -> None:
    job_id = alice.create_job()
    [known] = write_event(alice, job_id, ago(30))
    [late] = write_event(alice, job_id, ago(35))
    with following(alice, job_id, last=known) as stream:
        assert ids_of(stream, 2)[0] == late
        new = write_event(alice, job_id, ago(0))
        assert ids_of(stream, 1) == new
        older = write_event(alice, job_id, ago(5))
        assert ids_of(stream, 1) == older


def test_every_stream_of_a_job_gets_its_events_and_no_other_stream(alice: Person, bob: Person) -> None:
    [hers, her_other, his] = [alice.create_job(), alice.create_job(), bob.create_job()]
    with following(alice, hers) as one, following(alice, hers) as two, following(bob, his) as other:
        assert [len(ids_of(stream, 1)) for stream in (one, two, other)] == [1, 1, 1]
        write_event(alice, her_other, ago(0))
        new, bobs = write_event(alice, hers, ago(0)), write_event(bob, his, ago(0))
        assert (ids_of(one, 1), ids_of(two, 1), ids_of(other, 1)) == (new, new, bobs)


def test_a_stream_that_is_too_slow_must_read_the_database_again() -> None:
    feed = Feed(JobStatus.RUNNING)
    slow, quick = Cursor(feed, NOBODY), Cursor(feed, NOBODY)
    feed.cursors |= {slow, quick}
    for number in range(MAX_BUFFERED_ENTRIES + 1):
        feed.put([Entry(str(number), None, b"")])
        assert [entry.id for entry in quick.take() or []] == [str(number)]
    assert len(feed.entries) == MAX_BUFFERED_ENTRIES
    assert slow.take() is None
    assert slow.take() == []


def test_a_stream_ends_when_its_key_is_revoked(alice: Person) -> None:
    with following(alice, alice.create_job()) as stream:
        assert ids_of(stream, 1)
        with transaction() as session:
            key = session.exec(select(ApiKey).where(col(ApiKey.project_id) == alice.project_id)).one()
            key.revoked_at = utc_now()
        assert list(stream) == []


def test_a_stream_outlives_the_api_and_the_api_does_not_wait_for_it(alice: Person) -> None:
    job_id = alice.create_job()
    with ExitStack() as open_streams:
        with serving_under() as address:
            stream = open_streams.enter_context(following(alice, job_id, base_url=address))
            [last] = ids_of(stream, 1)
        assert list(stream) == []
    missed = write_event(alice, job_id, ago(0), ago(-1))
    with following(alice, job_id, last=last) as stream:
        assert ids_of(stream, 2) == missed


@pytest.mark.parametrize("last", ["ftevent-never", "ftjob-never"])
def test_an_unknown_last_event_id_is_not_found(alice: Person, last: str) -> None:
    answer = alice.http.get(path_of(alice.create_job()), headers=STREAM | {"last-event-id": last})
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "Last-Event-ID")


def test_another_jobs_event_is_not_a_valid_last_event_id(alice: Person) -> None:
    [event] = listed(alice, alice.create_job())
    job_id = alice.create_job()
    for last in (event["id"], job_id):
        assert alice.http.get(path_of(job_id), headers=STREAM | {"last-event-id": last}).status_code == 404


def test_the_stream_of_another_projects_job_is_not_found(alice: Person, bob: Person) -> None:
    assert bob.http.get(path_of(alice.create_job()), headers=STREAM).status_code == 404
