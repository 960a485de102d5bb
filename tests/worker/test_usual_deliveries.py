"""The short way of a delivery about which nothing is unusual, and where it ends."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import select
from standardwebhooks import Webhook

from shared.database import get_engine, transaction
from shared.db.times import utc_now
from shared.webhooks.deliveries import send_test
from shared.webhooks.event_types import EventType
from shared.webhooks.models import DeliveryStatus, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tests.servers import Receiver
from tests.worker.support import change
from tests.worker.usual_claims import claimed, delivery_id, endpoint, told
from tests.world import Person, row, step
from worker.webhooks import deliver, usual

__all__ = ["delivery_id", "endpoint"]


def send(person: Person) -> None:
    """As a sender does that has delivered something of this person's project already, but by the short way only."""
    visit = deliver.Visit()
    try:
        deliver._deliver_usual(visit, person.project_id, None)
    finally:
        visit.end()


def attempts_of(delivery_id: str) -> list[WebhookAttempt]:
    with transaction() as session:
        return list(session.exec(select(WebhookAttempt).where(WebhookAttempt.delivery_id == delivery_id)))


def test_the_short_way_leaves_the_same_rows_as_a_step(alice: Person, receiver: Receiver, delivery_id: str) -> None:
    receiver.body = b"nul \x00, broken \xff"
    short = told(alice)
    step(WebhookDelivery, delivery_id)
    send(alice)
    kept = []
    for id in (delivery_id, short):
        (attempt,) = attempts_of(id)
        assert attempt.request_headers["webhook-id"] == id
        both = row(WebhookDelivery, id).model_dump() | attempt.model_dump()
        kept.append({name: value for name, value in both.items() if name not in VARYING})
        assert attempt.created_at <= attempt.finished_at
    assert kept[0] == kept[1]
    assert kept[0]["status"] is DeliveryStatus.SUCCEEDED


VARYING = {
    "id",
    "created_at",
    "event_id",
    "enqueued_at",
    "delivery_id",
    "request_headers",
    "duration_ms",
    "finished_at",
}


def test_no_step_is_needed_from_the_first_delivery_of_a_message_on(
    alice: Person, receiver: Receiver, endpoint: Any, delivery_id: str
) -> None:
    told(alice)
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(get_engine(), "before_cursor_execute", note)  # SQLAlchemy's, which the short way does without
    deliver.deliver(endpoint["id"], alice.project_id)
    event.remove(get_engine(), "before_cursor_execute", note)
    assert (len(receiver.received), asked) == (2, [])


def test_a_test_event_is_left_to_a_step(alice: Person, receiver: Receiver, endpoint: Any) -> None:
    with transaction(alice.project_id) as session:
        made = send_test(session, alice.project_id, endpoint["id"], EventType.JOB_CANCELLED, {"id": "ftjob-1"})
    with pytest.raises(usual.Unusual):
        send(alice)
    assert (receiver.received, row(WebhookDelivery, made.id).failures) == ([], 0)


def test_a_failure_is_recorded_as_by_a_step_and_not_sent_twice(
    alice: Person, receiver: Receiver, delivery_id: str
) -> None:
    receiver.answers = [500]
    send(alice)
    (attempt,) = attempts_of(delivery_id)
    waits = row(WebhookDelivery, delivery_id)
    assert (attempt.error, len(receiver.received)) == ("HTTP 500", 1)
    assert (waits.status, waits.attempts, waits.failures) == (DeliveryStatus.PENDING, 1, 0)
    assert waits.due_at > utc_now()
    assert row(WebhookEndpoint, waits.endpoint_id).consecutive_failures == 1


def test_a_success_that_comes_too_late_is_dropped(alice: Person, delivery_id: str) -> None:
    plan = claimed(alice)
    assert plan is not None
    taken = utc_now() + timedelta(minutes=1)
    change(WebhookDelivery, delivery_id, due_at=taken)  # another sender has it by now
    outcome = deliver._call(plan)
    assert not usual.record_success(plan.delivery, outcome.attempt)
    assert (row(WebhookDelivery, delivery_id).due_at, attempts_of(delivery_id)) == (taken, [])


def test_a_sender_that_is_killed_sends_again_with_the_same_id(
    alice: Person, receiver: Receiver, delivery_id: str
) -> None:
    plan = claimed(alice)
    assert plan is not None
    deliver._call(plan)  # and is killed
    change(WebhookDelivery, delivery_id, due_at=utc_now())  # as when the lease has run out
    with pytest.raises(usual.Unusual):
        send(alice)
    step(WebhookDelivery, delivery_id)
    assert [headers["webhook-id"] for headers, _ in receiver.received] == [delivery_id] * 2
    assert row(WebhookDelivery, delivery_id).status is DeliveryStatus.SUCCEEDED
    assert len(attempts_of(delivery_id)) == 1


def test_both_secrets_sign_while_the_old_one_is_valid(
    alice: Person, receiver: Receiver, endpoint: Any, delivery_id: str
) -> None:
    both = {"keep_old_secret_active_for_24_hours": True}
    rotated = alice.http.post(f"/webhook_endpoints/{endpoint['id']}/rotate_secret", json=both).raise_for_status()
    send(alice)
    ((headers, body),) = receiver.received
    for secret in (endpoint["signing_secret"], rotated.json()["signing_secret"]):
        Webhook(secret).verify(body.decode(), headers)


def test_a_secret_that_cannot_be_opened_is_a_failure_that_is_counted(
    alice: Person, receiver: Receiver, endpoint: Any, delivery_id: str
) -> None:
    change(WebhookEndpoint, endpoint["id"], sealed_secret="sealed with a key that is lost")
    send(alice)
    assert row(WebhookDelivery, delivery_id).failures == 1
    assert row(WebhookDelivery, delivery_id).due_at > utc_now()
    assert receiver.received == []
