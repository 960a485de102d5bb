"""/v1/webhook_events: what has happened, as a list and as a stream."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import col, select

from shared.database import transaction
from shared.db.ids import first_id
from shared.db.times import epoch, utc_now
from shared.projects.models import ApiKey
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookDelivery, WebhookEvent
from tests.api.conftest import serving_under
from tests.worker.support import endpoint_of, ids, write_event
from tests.world import Person, row

PATH = "/webhook_events"
STREAM = {"accept": "text/event-stream"}


def events(person: Person, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = person.http.get(PATH, params=query).raise_for_status().json()
    return answer


class Stream:
    """What comes over it, piece by piece."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._lines = answer.iter_lines()

    def block(self) -> list[str]:
        """The lines up to the next empty one; none at the end."""
        return list(iter(lambda: next(self._lines, ""), ""))

    def event(self) -> dict[str, str]:
        """The next event; comments are passed over."""
        while (block := self.block())[0].startswith(":"):
            pass
        return dict(line.split(": ", 1) for line in block)

    def ids(self, count: int) -> list[str]:
        return [self.event()["id"] for _ in range(count)]


@contextmanager
def following(person: Person, base_url: str | None = None, last: str | None = None, **query: Any) -> Iterator[Stream]:
    headers = STREAM | ({"last-event-id": last} if last else {})
    with person.http.stream("GET", f"{base_url or person.base_url}{PATH}", headers=headers, params=query) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = Stream(answer)
        assert stream.block() == [": alive"]
        yield stream


def late(person: Person, at: datetime) -> str:
    """An event whose transaction began at this time and ends now."""
    event = WebhookEvent(
        type=EventType.JOB_CANCELLED, object_id="ftjob-1", data={"id": "ftjob-1"}, project_id=person.project_id
    )
    event.id, event.created_at = first_id(WebhookEvent.id_prefix, at), at
    with transaction() as session:
        session.add(event)
    return event.id


def test_an_event_is_found_with_the_whole_object(alice: Person) -> None:
    event_id = write_event(alice, status="cancelled")
    found = alice.http.get(f"{PATH}/{event_id}").json()
    assert found == {
        "id": event_id,
        "object": "event",
        "created_at": epoch(row(WebhookEvent, event_id).created_at),
        "type": "fine_tuning.job.cancelled",
        "data": {"id": "ftjob-1", "status": "cancelled"},
        "is_test": False,
    }
    assert events(alice)["data"] == [found]


def test_events_are_listed_newest_first_page_by_page_and_by_every_filter(alice: Person) -> None:
    first, second, third = (
        write_event(alice),
        write_event(alice, EventType.DATASET_FAILED),
        write_event(alice, id="ftjob-2"),
    )
    page = events(alice, limit=2)
    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([third, second], True)
    assert [each["id"] for each in events(alice, limit=2, after=page["last_id"])["data"]] == [first]
    now = epoch(utc_now())
    for query, expected in (
        ({"type": "dataset.failed"}, [second]),
        ({"object": "ftjob-1"}, [second, first]),
        ({"since": now - 60, "until": now, "object": "ftjob-2"}, [third]),
        ({"since": now + 60}, []),
        ({"until": now - 60}, []),
    ):
        assert [each["id"] for each in events(alice, **query)["data"]] == expected


def test_a_sample_is_listed_and_told_to_no_endpoint(alice: Person) -> None:
    endpoint_of(alice, "https://hooks.example.com/", *EventType)
    for type in EventType:
        made = alice.http.post(PATH, json={"event_type": type}).raise_for_status().json()
        assert (made["type"], made["is_test"]) == (type, True)
    assert {each["type"] for each in events(alice)["data"]} == set(EventType)
    assert ids(WebhookDelivery) == []


@pytest.mark.parametrize(("asked", "param"), [({}, "event_type"), ({"event_type": "x"}, "event_type")])
def test_a_wrong_sample_is_refused(alice: Person, asked: dict[str, str], param: str) -> None:
    answer = alice.http.post(PATH, json=asked)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_the_stream_tells_what_happens_also_what_was_committed_late(alice: Person, bob: Person) -> None:
    write_event(alice)
    with following(alice) as stream:
        opened_at = utc_now()
        write_event(bob)
        event_id = write_event(alice)
        event = stream.event()
        assert (event["id"], event["event"]) == (event_id, "fine_tuning.job.cancelled")
        assert json.loads(event["data"]) == alice.http.get(f"{PATH}/{event_id}").json()
        older = late(alice, opened_at)
        sample = alice.http.post(PATH, json={"event_type": "dataset.failed"}).json()["id"]
        assert stream.ids(2) == [older, sample]
        assert older < event_id


def test_the_stream_goes_on_after_the_last_event_and_repeats_only_the_last_seconds(alice: Person) -> None:
    now = utc_now()
    long_ago, known, missed = (late(alice, now - timedelta(seconds=seconds)) for seconds in (3600, 1800, 1700))
    new = write_event(alice)
    with following(alice, last=known) as stream:
        assert stream.ids(3) == [known, missed, new]
    assert long_ago < known


def test_the_stream_can_be_filtered(alice: Person) -> None:
    last = write_event(alice)
    write_event(alice, EventType.DATASET_FAILED, id="file-2")
    wanted = write_event(alice, EventType.DATASET_FAILED, id="file-1")
    with following(alice, last=last, type="dataset.failed", object="file-1") as stream:
        assert stream.event()["id"] == wanted


def test_the_stream_ends_when_its_key_is_revoked(alice: Person) -> None:
    with following(alice) as stream:
        with transaction() as session:
            key = session.exec(select(ApiKey).where(col(ApiKey.project_id) == alice.project_id)).one()
            key.revoked_at = utc_now()
        assert stream.block() == []


def test_the_stream_outlives_the_api_and_the_api_does_not_wait_for_it(alice: Person) -> None:
    with ExitStack() as open_streams:
        with serving_under() as address:
            stream = open_streams.enter_context(following(alice, address))
            last = write_event(alice)
            assert stream.event()["id"] == last
        assert stream.block() == []
    missed = write_event(alice)
    with following(alice, last=last) as stream:
        assert stream.ids(2) == [last, missed]


def test_an_unknown_last_event_id_is_not_found(alice: Person, bob: Person) -> None:
    hers = write_event(alice)
    for person, last in ((bob, hers), (alice, "evt_never")):
        answer = person.http.get(PATH, headers=STREAM | {"last-event-id": last})
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "Last-Event-ID")
    assert bob.http.get(f"{PATH}/{hers}").status_code == 404
