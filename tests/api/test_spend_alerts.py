"""Spend alerts in OpenAI's shape and percentages of the limit, each notified once a month."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI, RateLimitError

from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookEvent
from tests.api.administration import Operator, big_file, estimate_of
from tests.servers import Receiver
from tests.worker.support import endpoint_of, ids
from tests.world import Person, row, work

CHANNEL: Any = {"type": "email", "recipients": ["cfo@example.com"], "subject_prefix": "[money]"}


def alert(operator: Operator, person: Person, cents: int) -> Any:
    alerts = operator.openai.admin.organization.projects.spend_alerts
    return alerts.create(
        person.project_id,
        currency="USD",
        interval="month",
        threshold_amount=cents,
        notification_channel=CHANNEL,
    )


def told() -> list[tuple[int | None, str]]:
    """Return the percentage and amount of every threshold that was notified."""
    events = [row(WebhookEvent, id) for id in ids(WebhookEvent)]
    reached = [event.data for event in events if event.type == EventType.BUDGET_THRESHOLD_REACHED]
    return [(data["threshold_percent"], data["threshold_amount"]) for data in reached]


def spend(operator: Operator, person: Person, amount: str) -> None:
    operator.post(person, "ledger", amount=amount, currency="USD", reason="The bill")


def test_an_alert_is_made_changed_listed_and_deleted_by_the_sdk(operator: Operator, alice: Person) -> None:
    alerts = operator.openai.admin.organization.projects.spend_alerts
    made = [alert(operator, alice, cents) for cents in (100, 200, 300)]
    first = made[0]
    assert (first.threshold_amount, first.currency, first.interval) == (100, "USD", "month")
    assert first.notification_channel.to_dict() == CHANNEL
    assert alerts.retrieve(first.id, project_id=alice.project_id) == first
    listed = [each.id for each in alerts.list(alice.project_id, limit=2)]
    assert listed == [each.id for each in made[::-1]]
    assert [each.id for each in alerts.list(alice.project_id, order="asc")] == listed[::-1]
    newer = alerts.list(alice.project_id, before=made[1].id).data
    assert [each.id for each in newer] == [made[2].id]
    changed = alerts.update(
        first.id,
        project_id=alice.project_id,
        currency="USD",
        interval="month",
        threshold_amount=150,
        notification_channel={"type": "email", "recipients": ["bob@example.com"]},
    )
    assert (changed.threshold_amount, changed.notification_channel.subject_prefix) == (150, None)
    assert alerts.delete(first.id, project_id=alice.project_id).deleted
    with pytest.raises(NotFoundError):
        alerts.retrieve(first.id, project_id=alice.project_id)


def test_an_alert_is_found_under_its_own_project_only(operator: Operator, alice: Person, bob: Person) -> None:
    alerts, hers = operator.openai.admin.organization.projects.spend_alerts, alert(operator, alice, 100)
    for call in (alerts.retrieve, alerts.delete):
        with pytest.raises(NotFoundError):
            call(hers.id, project_id=bob.project_id)
    assert alerts.list(bob.project_id).data == []


@pytest.mark.parametrize("address", ["no address", "a@b@c", "a@example.com\nbcc: b@example.com", "<a@example.com>", ""])
def test_an_invalid_email_address_is_refused(operator: Operator, alice: Person, address: str) -> None:
    alerts = operator.openai.admin.organization.projects.spend_alerts
    with pytest.raises(BadRequestError) as refused:
        alerts.create(
            alice.project_id,
            currency="USD",
            interval="month",
            threshold_amount=1,
            notification_channel={"type": "email", "recipients": [address]},
        )
    assert refused.value.param == "notification_channel.recipients.0"


def test_each_percentage_and_alert_is_notified_once_when_it_is_reached(operator: Operator, alice: Person) -> None:
    operator.limit(alice, 10_000, alert_percentages=[50, 100])
    alert(operator, alice, 6000)
    spend(operator, alice, "49.99")
    assert told() == []
    spend(operator, alice, "0.01")
    assert told() == [(50, "50.00")]
    spend(operator, alice, "-10")
    spend(operator, alice, "25")
    assert told() == [(50, "50.00"), (None, "60.00")]
    spend(operator, alice, "100")
    assert told()[2:] == [(100, "100.00")]
    spend(operator, alice, "100")
    assert len(told()) == 3


def test_a_threshold_that_is_already_reached_is_notified_when_it_is_set(operator: Operator, alice: Person) -> None:
    spend(operator, alice, "90")
    operator.limit(alice, 10_000)
    assert told() == [(50, "50.00"), (80, "80.00")]
    operator.limit(alice, 11_000)
    assert told()[2:] == [(50, "55.00"), (80, "88.00")]
    operator.limit(alice, 10_000)
    assert len(told()) == 4


def test_a_limit_of_zero_is_not_reached_without_spending(operator: Operator, alice: Person) -> None:
    operator.limit(alice, 0)
    assert told() == []


def test_concurrent_jobs_notify_a_threshold_once(operator: Operator, alice: Person) -> None:
    file_id = big_file(alice)
    estimate = estimate_of(alice, file_id)
    operator.limit(alice, int(estimate * 10 * 100) + 1, alert_percentages=[50])

    def create(_: int) -> None:
        try:
            alice.create_job(training_file=file_id)
        except RateLimitError:
            return

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(create, range(12)))
    assert [percent for percent, _ in told()] == [50]


def test_the_webhook_of_a_threshold_has_its_amounts(
    operator: Operator, alice: Person, bob: Person, receiver: Receiver
) -> None:
    secret = endpoint_of(alice, receiver.url, EventType.BUDGET_THRESHOLD_REACHED)["signing_secret"]
    operator.limit(bob, 0, alert_percentages=[100])
    operator.limit(alice, 1000, alert_percentages=[80])
    spend(operator, alice, "8.5")
    work()
    [(headers, body)] = receiver.received
    OpenAI(api_key="-").webhooks.verify_signature(body, headers, secret=secret)
    [event] = receiver.events
    assert (event["type"], event["data"]["id"]) == ("budget.threshold_reached", alice.project_id)
    names = ("spend_limit", "spent", "reserved", "threshold_amount", "threshold_percent", "spend_alert_id")
    assert [event["data"][name] for name in names] == ["10.00", "8.50", "0.00", "8.00", 80, None]
    assert Decimal(event["data"]["spent"]) == Decimal("8.5")


def test_a_project_has_twenty_alerts_at_most(operator: Operator, alice: Person) -> None:
    for cents in range(20):
        alert(operator, alice, cents + 1)
    with pytest.raises(BadRequestError) as refused:
        alert(operator, alice, 100)
    assert refused.value.code == "too_many_spend_alerts"
