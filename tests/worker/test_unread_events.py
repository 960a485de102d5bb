"""Webhook events that nobody can ever ask for are not written."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from api.streams.event_feed import poller
from shared.db.times import utc_now
from shared.projects.models import Project
from shared.webhooks.models import WebhookDelivery, WebhookEvent
from tests.api.test_webhook_events import following
from tests.servers import until
from tests.worker.support import change, endpoint_of, ids, settings
from tests.world import Person, row

URL = "http://127.0.0.1:9/"


@pytest.fixture(autouse=True)
def _only_those_that_are_read() -> Iterator[None]:
    with settings(TUNERY_RETENTION__UNREAD_EVENTS="false"):
        yield


def test_a_project_without_endpoints_that_reads_no_events_has_none(alice: Person) -> None:
    alice.create_job()
    assert ids(WebhookEvent) == []


def test_events_are_written_from_the_first_endpoint_on_whatever_it_subscribes_to(alice: Person, bob: Person) -> None:
    endpoint_of(alice, URL)
    job_id = alice.create_job()
    bob.create_job()
    assert [event["data"]["id"] for event in alice.http.get("/webhook_events").json()["data"]] == [job_id]
    assert (len(ids(WebhookEvent)), ids(WebhookDelivery)) == (1, [])


def test_a_disabled_endpoint_can_still_recover_what_happens(alice: Person) -> None:
    endpoint_id = endpoint_of(alice, URL, "fine_tuning.job.created")["id"]
    alice.http.post(f"/webhook_endpoints/{endpoint_id}", json={"enabled": False})
    alice.create_job()
    assert (len(ids(WebhookEvent)), ids(WebhookDelivery)) == (1, [])


def test_after_the_last_endpoint_is_deleted_none_are_written(alice: Person) -> None:
    endpoint_id = endpoint_of(alice, URL)["id"]
    alice.http.delete(f"/webhook_endpoints/{endpoint_id}")
    alice.create_job()
    assert ids(WebhookEvent) == []


def test_who_has_read_events_in_the_last_30_days_finds_those_that_happen(alice: Person, bob: Person) -> None:
    assert alice.http.get("/webhook_events").json()["data"] == []
    job_id = alice.create_job()
    bob.create_job()
    assert [event["data"]["id"] for event in alice.http.get("/webhook_events").json()["data"]] == [job_id]
    change(Project, alice.project_id, events_read_at=utc_now() - timedelta(days=31))
    alice.create_job()
    assert len(ids(WebhookEvent)) == 1


def test_a_stream_that_stays_open_counts_as_reading_each_day(alice: Person, bob: Person) -> None:
    with following(alice):
        long_ago = utc_now() - timedelta(days=40)
        for person in (alice, bob):
            change(Project, person.project_id, events_read_at=long_ago)
        poller.note_at = utc_now()
        until(lambda: row(Project, alice.project_id).events_read_at != long_ago)
        assert row(Project, bob.project_id).events_read_at == long_ago
