"""An endpoint that keeps failing is left alone for a while, and in the end disabled; nothing that is due is lost."""

from datetime import timedelta
from typing import Any

import pytest

from shared.database import transaction
from shared.db.times import epoch, utc_now
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType
from shared.webhooks.models import DeliveryStatus, FailureReason, WebhookDelivery, WebhookEndpoint, WebhookEvent
from tests.servers import Receiver, closed_port
from tests.worker.support import attempt_again, change, endpoint_of, ids, settings, step_while, write_event
from tests.world import Person, row, step, work
from worker.runtime.scheduler import tidy
from worker.runtime.sweep import sweep
from worker.webhooks import deliver

DISABLED = "webhook_endpoint.disabled"
FIVE_DAYS = timedelta(days=5)


def endpoint(person: Person, endpoint_id: str) -> dict[str, Any]:
    found: dict[str, Any] = person.http.get(f"/webhook_endpoints/{endpoint_id}").raise_for_status().json()
    return found


def delivery(person: Person, endpoint_id: str, delivery_id: str) -> dict[str, Any]:
    answer = person.http.get(f"/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}").raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def update(person: Person, endpoint_id: str, **values: Any) -> dict[str, Any]:
    changed = person.http.post(f"/webhook_endpoints/{endpoint_id}", json=values).raise_for_status()
    found: dict[str, Any] = changed.json()
    return found


def dead(person: Person) -> str:
    """The id of an endpoint at which nobody listens."""
    made: str = endpoint_of(person, f"http://127.0.0.1:{closed_port()}/")["id"]
    return made


def due(person: Person, count: int) -> list[str]:
    """So many deliveries, the oldest first."""
    for _ in range(count):
        write_event(person)
    return ids(WebhookDelivery)[-count:]


def test_after_three_failures_what_is_due_is_held_back_and_none_is_lost(alice: Person, receiver: Receiver) -> None:
    endpoint_id = endpoint_of(alice, receiver.url)["id"]
    first_three = due(alice, 6)[:3]
    receiver.answers = [500] * 3
    for delivery_id in first_three:
        step(WebhookDelivery, delivery_id)
    paused_until = row(WebhookEndpoint, endpoint_id).paused_until
    assert timedelta() < paused_until - utc_now() <= timedelta(seconds=10)
    assert sweep() == 0  # nobody is enqueued for it meanwhile
    write_event(alice)
    work()
    assert len(receiver.received) == 3  # what happens now is held back too
    change(WebhookEndpoint, endpoint_id, paused_until=utc_now())
    work()
    assert {row(WebhookDelivery, id).status for id in ids(WebhookDelivery)} == {DeliveryStatus.SUCCEEDED}
    assert {headers["webhook-id"] for headers, _ in receiver.received} == set(ids(WebhookDelivery))


def test_what_is_held_back_says_so_and_until_when(alice: Person, receiver: Receiver) -> None:
    endpoint_id = endpoint_of(alice, receiver.url)["id"]
    [first, waiting] = due(alice, 2)
    receiver.answers = [500]
    step(WebhookDelivery, first)
    until = utc_now() + FIVE_DAYS
    change(WebhookEndpoint, endpoint_id, paused_until=until)
    for delivery_id in (first, waiting):
        shown = delivery(alice, endpoint_id, delivery_id)
        assert (shown["status"], shown["held_until"], shown["next_attempt_at"]) == ("pending", *[epoch(until)] * 2)
    listed = alice.http.get(f"/webhook_endpoints/{endpoint_id}/deliveries").json()["data"]
    assert [each["held_until"] for each in listed] == [epoch(until)] * 2
    assert endpoint(alice, endpoint_id)["paused_until"] == epoch(until)
    change(WebhookEndpoint, endpoint_id, paused_until=utc_now() - timedelta(seconds=1))
    assert endpoint(alice, endpoint_id)["paused_until"] is None
    shown = delivery(alice, endpoint_id, first)
    assert (shown["held_until"], shown["next_attempt_at"]) == (None, epoch(row(WebhookDelivery, first).due_at))


def test_a_pause_that_ends_before_the_next_attempt_holds_nothing_back(alice: Person) -> None:
    endpoint_id = dead(alice)
    [delivery_id] = due(alice, 1)
    change(WebhookEndpoint, endpoint_id, paused_until=utc_now() + FIVE_DAYS)
    change(WebhookDelivery, delivery_id, due_at=utc_now() + 2 * FIVE_DAYS)
    shown = delivery(alice, endpoint_id, delivery_id)
    assert (shown["held_until"], shown["next_attempt_at"]) == (None, epoch(row(WebhookDelivery, delivery_id).due_at))


def test_each_failure_doubles_the_wait_up_to_five_minutes(alice: Person) -> None:
    endpoint_id, expected = dead(alice), [None, None, 10, 20, 40, 80, 160, 300, 300, 300]
    for delivery_id, seconds in zip(due(alice, 10), expected, strict=True):
        before = utc_now()
        attempt_again(delivery_id)
        paused_until = row(WebhookEndpoint, endpoint_id).paused_until
        if seconds is None:
            assert paused_until is None
        else:  # an attempt takes time
            assert seconds <= (paused_until - before).total_seconds() < 2 * seconds


def test_one_success_forgives_all_failures(alice: Person, receiver: Receiver) -> None:
    endpoint_id = endpoint_of(alice, receiver.url)["id"]
    receiver.answers = [500] * 3
    for delivery_id in due(alice, 4):
        attempt_again(delivery_id)
    found = row(WebhookEndpoint, endpoint_id)
    assert (found.failing_since, found.consecutive_failures, found.paused_until) == (None, 0, None)
    assert endpoint(alice, endpoint_id)["failing_since"] is None


def test_an_endpoint_that_waits_is_tried_at_once_when_its_owner_asks_for_it(alice: Person, receiver: Receiver) -> None:
    endpoint_id = endpoint_of(alice, receiver.url)["id"]
    [delivery_id] = due(alice, 1)
    change(WebhookEndpoint, endpoint_id, paused_until=utc_now() + FIVE_DAYS)
    alice.http.post(f"/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliver").raise_for_status()
    step(WebhookDelivery, delivery_id)
    assert len(receiver.received) == 1


def test_the_failures_of_an_address_do_not_count_for_the_next(alice: Person, receiver: Receiver) -> None:
    endpoint_id = dead(alice)
    [delivery_id] = due(alice, 1)
    step(WebhookDelivery, delivery_id)
    change(WebhookEndpoint, endpoint_id, failing_since=utc_now() - FIVE_DAYS, paused_until=utc_now() + FIVE_DAYS)
    receiver.answers = [500]
    assert update(alice, endpoint_id, url=receiver.url)["failing_since"] is None
    step(WebhookDelivery, delivery_id)
    assert (len(receiver.received), endpoint(alice, endpoint_id)["enabled"]) == (1, True)


def test_410_disables_at_once_and_the_others_are_told(alice: Person, bob: Person, receiver: Receiver) -> None:
    gone_id = endpoint_of(alice, receiver.url, "fine_tuning.job.cancelled", DISABLED)["id"]
    other_id = endpoint_of(alice, receiver.url, DISABLED)["id"]
    endpoint_of(bob, receiver.url, DISABLED)
    asked, pending = due(alice, 2)
    receiver.answers = [410]
    step(WebhookDelivery, asked)
    found = endpoint(alice, gone_id)
    assert (found["enabled"], found["disabled_reason"]) == (False, "gone")
    for delivery_id in (asked, pending):
        given_up = row(WebhookDelivery, delivery_id)
        assert (given_up.status, given_up.failure_reason) == (DeliveryStatus.FAILED, FailureReason.DISABLED)
        assert given_up.due_at is None
    work()
    told = receiver.events[1:]
    assert [(event["type"], event["data"]) for event in told] == [(DISABLED, found)]
    assert row(WebhookDelivery, receiver.received[1][0]["webhook-id"]).endpoint_id == other_id


@pytest.mark.parametrize(("failing_for", "is_enabled"), [(FIVE_DAYS, False), (FIVE_DAYS - timedelta(minutes=1), True)])
def test_failing_for_five_days_disables(alice: Person, failing_for: timedelta, is_enabled: bool) -> None:
    endpoint_id = dead(alice)
    asked, pending = due(alice, 2)
    change(WebhookEndpoint, endpoint_id, failing_since=utc_now() - failing_for)
    step(WebhookDelivery, asked)
    found = endpoint(alice, endpoint_id)
    assert (found["enabled"], found["disabled_reason"]) == (is_enabled, None if is_enabled else "failing")
    reasons = {row(WebhookDelivery, id).failure_reason for id in (asked, pending)}
    assert reasons == {None if is_enabled else FailureReason.DISABLED}
    assert [row(WebhookEvent, id).type for id in ids(WebhookEvent)].count(DISABLED) == (0 if is_enabled else 1)


def test_how_long_an_endpoint_may_fail_is_a_setting(alice: Person) -> None:
    endpoint_id = dead(alice)
    change(WebhookEndpoint, endpoint_id, failing_since=utc_now() - timedelta(seconds=60))
    with settings(TUNERY_WEBHOOK_DISABLE_AFTER="60"):
        step(WebhookDelivery, due(alice, 1)[0])
    assert endpoint(alice, endpoint_id)["disabled_reason"] == "failing"


def test_an_endpoint_for_which_nothing_is_left_to_be_tried_is_disabled_too(alice: Person, receiver: Receiver) -> None:
    endpoint_of(alice, receiver.url, DISABLED)
    silent, hopeful = dead(alice), dead(alice)
    for delivery_id in due(alice, 1) + ids(WebhookDelivery)[-2:]:
        step(WebhookDelivery, delivery_id)
    for delivery_id in ids(WebhookDelivery):
        if row(WebhookDelivery, delivery_id).endpoint_id == silent:
            change(WebhookDelivery, delivery_id, due_at=None, status=DeliveryStatus.FAILED, finished_at=utc_now())
    for endpoint_id in (silent, hopeful):
        change(WebhookEndpoint, endpoint_id, failing_since=utc_now() - FIVE_DAYS)
    for _ in range(2):
        tidy()
    assert [endpoint(alice, id)["enabled"] for id in (silent, hopeful)] == [False, True]
    change(WebhookEndpoint, hopeful, paused_until=utc_now() + FIVE_DAYS)
    work()
    assert [event["data"]["id"] for event in receiver.events] == [silent]


def test_who_switches_an_endpoint_off_gets_nothing_and_tells_nobody(alice: Person, receiver: Receiver) -> None:
    endpoint_id = endpoint_of(alice, receiver.url)["id"]
    endpoint_of(alice, receiver.url, DISABLED)
    [before] = due(alice, 1)
    off = update(alice, endpoint_id, enabled=False, name="asleep")
    assert (off["enabled"], off["disabled_reason"], off["name"]) == (False, "requested", "asleep")
    write_event(alice)
    work()
    assert (receiver.received, ids(WebhookDelivery)) == ([], [before])
    assert update(alice, endpoint_id, enabled=True)["enabled"] is True
    step(WebhookDelivery, due(alice, 1)[0])
    assert len(receiver.received) == 1


def test_what_is_on_its_way_while_the_endpoint_is_disabled_ends_with_it(alice: Person, receiver: Receiver) -> None:
    for disable in (
        lambda id: update(alice, id, enabled=False),
        lambda id: alice.http.delete(f"/webhook_endpoints/{id}").raise_for_status(),
    ):
        endpoint_id = endpoint_of(alice, receiver.url)["id"]
        [delivery_id] = due(alice, 1)
        receiver.answers = [500]
        step_while(deliver.attempt, delivery_id, lambda: disable(endpoint_id))  # noqa: B023
        ended = row(WebhookDelivery, delivery_id)
        assert (ended.status, ended.due_at) == (DeliveryStatus.FAILED, None)
        assert ended.failure_reason in (FailureReason.DISABLED, FailureReason.DELETED)


def test_what_was_told_while_the_endpoint_was_being_disabled_counts_as_missed(alice: Person) -> None:
    endpoint_id = dead(alice)
    with transaction() as session:  # it has seen the endpoint enabled, and ends later than the other
        webhooks.write_event(session, alice.project_id, EventType.JOB_CANCELLED, {"id": "ftjob-1"})
        session.flush()
        update(alice, endpoint_id, enabled=False)
    [event_id, delivery_id] = ids(WebhookEvent) + ids(WebhookDelivery)
    told_at = utc_now() - timedelta(seconds=5)
    change(WebhookEvent, event_id, created_at=told_at)
    step(WebhookDelivery, delivery_id)
    assert row(WebhookDelivery, delivery_id).failure_reason is FailureReason.DISABLED
    assert endpoint(alice, endpoint_id)["missed_since"] == epoch(told_at)
