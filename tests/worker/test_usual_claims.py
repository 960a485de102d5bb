"""Which delivery the short way claims, and which it leaves to a step."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from shared.database import driver_transaction
from shared.db.times import utc_now
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.servers import Receiver
from tests.worker.support import change, endpoint_of, ids, write_event
from tests.worker.usual_claims import claimed, delivery_id, endpoint, told
from tests.world import Person, row
from worker.runtime.errors import NotNow
from worker.webhooks import usual

__all__ = ["delivery_id", "endpoint"]


def test_a_claim_is_a_lease(alice: Person, delivery_id: str) -> None:
    plan = claimed(alice)
    assert plan is not None
    held = row(WebhookDelivery, delivery_id)
    assert (held.id, held.due_at, held.failures) == (plan.delivery.id, plan.delivery.due_at, 1)
    assert held.due_at > utc_now()
    assert claimed(alice) is None


def test_what_has_been_due_longest_is_claimed_first(alice: Person, delivery_id: str) -> None:
    later = told(alice)
    change(WebhookDelivery, delivery_id, due_at=utc_now() - timedelta(seconds=1))
    change(WebhookDelivery, later, due_at=utc_now() - timedelta(seconds=2))
    plan = claimed(alice)
    assert plan is not None
    assert plan.delivery.id == later


def is_killed(delivery: WebhookDelivery) -> None:
    """Its last claim was not recorded."""
    change(WebhookDelivery, delivery.id, failures=1)


def is_failing(delivery: WebhookDelivery) -> None:
    change(WebhookEndpoint, delivery.endpoint_id, failing_since=utc_now(), consecutive_failures=1)


def is_paused(delivery: WebhookDelivery) -> None:
    change(WebhookEndpoint, delivery.endpoint_id, paused_until=utc_now() + timedelta(minutes=1))


def is_disabled(delivery: WebhookDelivery) -> None:
    change(WebhookEndpoint, delivery.endpoint_id, disabled_at=utc_now())


def is_deleted(delivery: WebhookDelivery) -> None:
    change(WebhookEndpoint, delivery.endpoint_id, deleted_at=utc_now())


def is_not_due(delivery: WebhookDelivery) -> None:
    change(WebhookDelivery, delivery.id, due_at=utc_now() + timedelta(minutes=1))


def has_ended(delivery: WebhookDelivery) -> None:
    change(WebhookDelivery, delivery.id, due_at=None)


@pytest.mark.parametrize("of_endpoint", [True, False], ids=["endpoint", "project"])
@pytest.mark.parametrize("happened", [is_killed, is_failing, is_disabled, is_deleted], ids=lambda x: x.__name__)
def test_what_is_unusual_is_left_as_it_is(
    alice: Person, endpoint: Any, delivery_id: str, happened: Callable[[WebhookDelivery], None], of_endpoint: bool
) -> None:
    happened(row(WebhookDelivery, delivery_id))
    before = row(WebhookDelivery, delivery_id)
    with pytest.raises(usual.Unusual):
        claimed(alice, endpoint["id"] if of_endpoint else None)
    assert row(WebhookDelivery, delivery_id) == before


@pytest.mark.parametrize("of_endpoint", [True, False], ids=["endpoint", "project"])
@pytest.mark.parametrize("happened", [is_not_due, has_ended], ids=lambda x: x.__name__)
def test_what_is_not_due_is_no_matter_of_a_step_either(
    alice: Person, endpoint: Any, delivery_id: str, happened: Callable[[WebhookDelivery], None], of_endpoint: bool
) -> None:
    happened(row(WebhookDelivery, delivery_id))
    assert claimed(alice, endpoint["id"] if of_endpoint else None) is None


def test_a_paused_endpoint_is_passed_over_but_by_its_own_message(
    alice: Person, endpoint: Any, delivery_id: str
) -> None:
    is_paused(row(WebhookDelivery, delivery_id))
    assert claimed(alice) is None
    with pytest.raises(usual.Unusual):
        claimed(alice, endpoint["id"])
    assert row(WebhookDelivery, delivery_id).failures == 0


def test_a_message_is_about_its_endpoint_first(alice: Person, endpoint: Any, receiver: Receiver) -> None:
    other = endpoint_of(alice, receiver.url)
    write_event(alice)
    for each in ids(WebhookDelivery):
        is_other = row(WebhookDelivery, each).endpoint_id == other["id"]
        change(WebhookDelivery, each, due_at=utc_now() - timedelta(seconds=1 if is_other else 2))
    plan = claimed(alice, other["id"])
    assert plan is not None
    assert plan.delivery.endpoint_id == other["id"]


def test_an_unusual_delivery_keeps_its_turn(alice: Person, delivery_id: str) -> None:
    second = told(alice)
    change(WebhookDelivery, delivery_id, failures=1, due_at=utc_now() - timedelta(minutes=1))
    with pytest.raises(usual.Unusual):  # a step takes the first
        claimed(alice)
    assert row(WebhookDelivery, second).failures == 0


@pytest.mark.parametrize("text", [usual._CLAIM_OF_PROJECT, usual._CLAIM_OF_ENDPOINT], ids=["project", "endpoint"])
def test_a_claim_reads_no_other_events_of_the_project(
    alice: Person, endpoint: Any, delivery_id: str, text: str
) -> None:
    for _ in range(20):
        write_event(alice)
    now = utc_now()
    values = {"project_id": alice.project_id, "endpoint_id": endpoint["id"], "full": [], "now": now, "lease_end": now}
    with driver_transaction(alice.project_id) as connection:
        for other_way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin"):  # which so few rows may be worth
            connection.execute(f"set local enable_{other_way} = off".encode())
        ((plan,),) = connection.execute(f"explain (analyze, format json) {text}".encode(), values).fetchall()
    read = {node["Alias"]: node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan[0]["Plan"])}
    assert (read["event"], read["delivery"], read["endpoint"]) == (1, 1, 1)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What reads a table."""
    if "Alias" in plan and plan["Node Type"] != "ModifyTable":
        yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def test_a_project_claims_nothing_of_another(alice: Person, bob: Person, delivery_id: str) -> None:
    assert claimed(bob) is None
    assert row(WebhookDelivery, delivery_id).failures == 0
    with driver_transaction(bob.project_id) as connection:
        assert connection.execute("select id from webhook_deliveries").fetchall() == []
    with driver_transaction(alice.project_id) as connection:
        assert connection.execute("select id from webhook_deliveries").fetchall() == [(delivery_id,)]


def test_an_endpoint_without_a_free_slot_is_passed_over(alice: Person, delivery_id: str) -> None:
    assert claimed(alice, full=[row(WebhookDelivery, delivery_id).endpoint_id]) is None
    assert row(WebhookDelivery, delivery_id).failures == 0


def test_a_slot_that_was_taken_meanwhile_undoes_the_claim(alice: Person, delivery_id: str) -> None:
    def is_taken(_: WebhookDelivery) -> None:
        raise NotNow

    before = row(WebhookDelivery, delivery_id)
    with pytest.raises(NotNow):
        usual.claim(alice.project_id, None, [], is_taken)
    assert row(WebhookDelivery, delivery_id) == before
