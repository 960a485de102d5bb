"""What an endpoint has missed is delivered when its owner asks for it: all of it, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update as sql_update
from sqlmodel import col, select

from shared.database import transaction
from shared.db.ids import first_id
from shared.db.times import epoch, utc_now
from shared.webhooks.event_types import EventType
from shared.webhooks.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookRecovery
from tests.servers import Receiver
from tests.worker.support import change, endpoint_of, ids, write_event
from tests.worker.test_endpoint_health import dead, endpoint, update
from tests.world import Person, row, step, work

URL = "https://hooks.example.com/"


def recover(person: Person, endpoint_id: str, since: int, **values: Any) -> dict[str, Any]:
    asked = {"since": since, **values}
    begun: dict[str, Any] = person.http.post(f"/webhook_endpoints/{endpoint_id}/recover", json=asked).json()
    return begun


def recovery(person: Person, begun: dict[str, Any]) -> dict[str, Any]:
    path = f"/webhook_endpoints/{begun['webhook_endpoint_id']}/recoveries/{begun['id']}"
    found: dict[str, Any] = person.http.get(path).raise_for_status().json()
    return found


def happened(person: Person, *seconds_ago: float) -> list[str]:
    """Events of which nobody was told, made so long ago."""
    events = []
    for number, seconds in enumerate(seconds_ago):
        at = utc_now() - timedelta(seconds=seconds)
        id = first_id(WebhookEvent.id_prefix, at)[:-4] + f"{number:04}"
        new = WebhookEvent(
            type=EventType.JOB_CANCELLED, object_id="ftjob-1", data={"id": "ftjob-1"}, project_id=person.project_id
        )
        new.id, new.created_at = id, at
        events.append(new)
    with transaction() as session:
        session.add_all(events)
    return [event.id for event in events]


def told(receiver: Receiver) -> list[str]:
    return [event["id"] for event in receiver.events]


def test_an_endpoint_that_was_disabled_gets_all_that_it_missed_and_nothing_else(
    alice: Person, bob: Person, receiver: Receiver
) -> None:
    endpoint_id = endpoint_of(alice, receiver.url)["id"]
    answered, failed, pending = (write_event(alice) for _ in range(3))
    delivered = ids(WebhookDelivery)
    receiver.answers = [200, 500]
    for delivery_id in delivered[:2]:
        step(WebhookDelivery, delivery_id)
    update(alice, endpoint_id, enabled=False)
    while_disabled = write_event(alice)
    write_event(alice, EventType.JOB_FAILED)  # which the endpoint does not want
    write_event(bob)
    alice.http.post("/webhook_events", json={"event_type": EventType.JOB_CANCELLED}).raise_for_status()
    missed_since = update(alice, endpoint_id, enabled=True)["missed_since"]
    assert missed_since == epoch(row(WebhookEvent, failed).created_at)
    begun = recover(alice, endpoint_id, missed_since)
    assert (begun["object"], begun["status"]) == ("webhook_recovery", "in_progress")
    work()
    assert sorted(told(receiver)) == sorted([answered, failed, failed, pending, while_disabled])
    assert {headers["webhook-id"] for headers, _ in receiver.received[:4]} >= set(delivered[:2])
    done = recovery(alice, begun)
    assert (done["status"], done["deliveries"]) == ("completed", 3)
    assert done["finished_at"] is not None
    assert endpoint(alice, endpoint_id)["missed_since"] is None


def test_what_was_given_up_before_the_endpoint_was_disabled_was_missed_too(alice: Person, receiver: Receiver) -> None:
    endpoint_id = dead(alice)
    exhausted, last = write_event(alice), write_event(alice)
    first, second = sorted(ids(WebhookDelivery), key=lambda id: row(WebhookDelivery, id).event_id != exhausted)
    step(WebhookDelivery, first)
    change(WebhookDelivery, first, status=DeliveryStatus.FAILED, due_at=None, finished_at=utc_now())
    change(WebhookEvent, exhausted, created_at=utc_now() - timedelta(seconds=30))
    change(WebhookEndpoint, endpoint_id, failing_since=row(WebhookEndpoint, endpoint_id).failing_since - timedelta(5))
    step(WebhookDelivery, second)
    missed_since = update(alice, endpoint_id, enabled=True, url=receiver.url)["missed_since"]
    recover(alice, endpoint_id, missed_since)
    work()
    assert sorted(told(receiver)) == sorted([exhausted, last])


def test_many_events_are_recovered_in_several_steps_that_show_how_far_they_are(alice: Person) -> None:
    endpoint_id = endpoint_of(alice, URL)["id"]
    happened(alice, *[60] * 1200)
    begun = recover(alice, endpoint_id, epoch(utc_now()) - 3600)
    seen = []
    while row(WebhookRecovery, begun["id"]).due_at is not None:
        step(WebhookRecovery, begun["id"])
        shown = recovery(alice, begun)
        seen.append((shown["status"], shown["events"], shown["deliveries"]))
    assert seen == [("in_progress", 500, 500), ("in_progress", 1000, 1000), ("completed", 1200, 1200)]
    with transaction() as session:
        made = session.exec(select(WebhookDelivery.event_id).order_by(col(WebhookDelivery.due_at))).all()
    assert made == ids(WebhookEvent)  # each once, and due in the order in which they happened


def test_only_what_happened_between_the_two_times_is_recovered(alice: Person) -> None:
    endpoint_id, now = endpoint_of(alice, URL)["id"], epoch(utc_now())
    before, first, last, after = happened(alice, 301.5, 299.5, 200.2, 198.5)
    begun = recover(
        alice, endpoint_id, epoch(row(WebhookEvent, first).created_at), until=epoch(row(WebhookEvent, last).created_at)
    )
    step(WebhookRecovery, begun["id"])
    assert [row(WebhookDelivery, id).event_id for id in ids(WebhookDelivery)] == [first, last]
    assert before < first < last < after
    assert now >= begun["until"]


def test_what_was_put_off_is_due_now_with_its_attempts_counted_and_nothing_is_delivered_twice(alice: Person) -> None:
    endpoint_id = dead(alice)
    write_event(alice)
    [delivery_id] = ids(WebhookDelivery)
    step(WebhookDelivery, delivery_id)
    happened(alice, 60)
    for deliveries in (2, 0):
        begun = recover(alice, endpoint_id, 0)
        step(WebhookRecovery, begun["id"])
        assert recovery(alice, begun)["deliveries"] == deliveries
    put_off = row(WebhookDelivery, delivery_id)
    assert (put_off.due_at <= utc_now(), put_off.attempts) == (True, 1)
    assert len(ids(WebhookDelivery)) == 2


def test_a_recovery_of_a_part_leaves_it_said_since_when_events_were_missed(alice: Person) -> None:
    endpoint_id, now = endpoint_of(alice, URL)["id"], epoch(utc_now())
    update(alice, endpoint_id, enabled=False)
    missed_since = update(alice, endpoint_id, enabled=True)["missed_since"]
    change(WebhookEndpoint, endpoint_id, missed_since=utc_now() - timedelta(hours=1))
    recover(alice, endpoint_id, now - 60)
    recover(alice, endpoint_id, 0, until=now - 60)
    assert endpoint(alice, endpoint_id)["missed_since"] == pytest.approx(missed_since - 3600, abs=5)


def test_a_recovery_ends_with_its_endpoint(alice: Person) -> None:
    endpoint_id = endpoint_of(alice, URL)["id"]
    begun = recover(alice, endpoint_id, 0)
    update(alice, endpoint_id, enabled=False)
    step(WebhookRecovery, begun["id"])
    assert recovery(alice, begun)["status"] == "failed"


@pytest.mark.parametrize("until", [0, -1])
def test_a_time_that_ends_before_it_begins_is_refused(alice: Person, until: int) -> None:
    endpoint_id, now = endpoint_of(alice, URL)["id"], epoch(utc_now())
    assert recover(alice, endpoint_id, now - 60, until=now - 60 + until)["error"]["param"] == "since"
    assert ids(WebhookRecovery) == []


def test_the_future_is_not_recovered(alice: Person) -> None:
    endpoint_id, now = endpoint_of(alice, URL)["id"], epoch(utc_now())
    assert recover(alice, endpoint_id, now + 60)["error"]["param"] == "since"
    assert recover(alice, endpoint_id, now - 60, until=now + 3600)["until"] <= epoch(utc_now())


@pytest.mark.parametrize(
    ("asked", "param"),
    [({}, "since"), ({"since": "x"}, "since"), ({"since": -1}, "since"), ({"since": 0, "to": 1}, "to")],
)
def test_a_wrong_order_is_refused(alice: Person, asked: dict[str, Any], param: str) -> None:
    answer = alice.http.post(f"/webhook_endpoints/{endpoint_of(alice, URL)['id']}/recover", json=asked)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_nothing_is_asked_of_a_disabled_endpoint(alice: Person) -> None:
    endpoint_id = dead(alice)
    write_event(alice)
    update(alice, endpoint_id, enabled=False)
    path = f"/webhook_endpoints/{endpoint_id}"
    answers = [
        alice.http.post(f"{path}/recover", json={"since": 0}),
        alice.http.post(f"{path}/deliveries/{ids(WebhookDelivery)[0]}/redeliver"),
    ]
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [
        (400, "webhook_endpoint_disabled")
    ] * 2
    assert ids(WebhookRecovery) == []


def test_a_recovery_whose_steps_fail_ends(alice: Person) -> None:
    begun = recover(alice, endpoint_of(alice, URL)["id"], 0)
    with transaction() as session:
        session.exec(sql_update(WebhookRecovery).values(failures=9))
    step(WebhookRecovery, begun["id"])
    assert recovery(alice, begun)["status"] == "failed"
