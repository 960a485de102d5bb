"""What one attempt does to its delivery and to its endpoint: retries, pauses, disabling and clearing of failures."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session

from shared.database import transaction
from shared.db.times import utc_now
from shared.settings import get_settings
from shared.webhooks import outcomes
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType
from shared.webhooks.models import (
    DeliveryStatus,
    DisabledReason,
    FailureReason,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from shared.webhooks.schemas import WebhookEndpointUpdate
from tests.world import Person

SCHEDULE_SECONDS = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
URL = "http://127.0.0.1:1/"


@pytest.fixture
def session(alice: Person) -> Iterator[Session]:
    """One transaction for the whole test, with the project of `alice`."""
    with transaction() as session:
        session.info["project"] = alice.project_id
        yield session


def make_endpoint(session: Session, **values: Any) -> WebhookEndpoint:
    endpoint = WebhookEndpoint(
        project_id=session.info["project"],
        name="ci",
        url=URL,
        event_types=[EventType.DATASET_FAILED],
        updated_at=utc_now(),
        sealed_secret="",
        signing_secret_hint="",
        **values,
    )
    session.add(endpoint)
    session.flush()
    return endpoint


def make_delivery(session: Session, endpoint: WebhookEndpoint, attempts: int = 0) -> WebhookDelivery:
    event = WebhookEvent(project_id=endpoint.project_id, type=EventType.DATASET_FAILED, object_id="file-1", data={})
    session.add(event)
    session.flush()
    delivery = webhooks.new_delivery(event, endpoint.id, is_full=False)
    delivery.attempts = attempts
    session.add(delivery)
    session.flush()
    return delivery


def record(
    session: Session, delivery: WebhookDelivery, endpoint: WebhookEndpoint, status: int | None, after: float = 0
) -> timedelta | None:
    """Record an answer, or none (`status` None), and return how long the next attempt waits; None if there is none."""
    attempt = WebhookAttempt(
        project_id=endpoint.project_id,
        delivery_id=delivery.id,
        url=URL,
        response_status=status,
        error=None if status and status < 300 else "failed",
        duration_ms=1,
        finished_at=utc_now(),
    )
    now = utc_now()
    outcomes.record_attempt(session, delivery, endpoint, attempt, timedelta(seconds=after) if after else None)
    return delivery.due_at - now if delivery.due_at else None


@pytest.mark.parametrize(("earlier_attempts", "planned"), list(enumerate(SCHEDULE_SECONDS)))
def test_a_failed_attempt_is_retried_after_the_time_of_the_schedule_within_a_fifth(
    session: Session, earlier_attempts: int, planned: int
) -> None:
    endpoint = make_endpoint(session)
    delivery = make_delivery(session, endpoint, earlier_attempts)
    wait = record(session, delivery, endpoint, 500)
    assert wait is not None
    assert 0.8 * planned <= wait.total_seconds() <= 1.2 * planned + 1
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.PENDING, earlier_attempts + 1)


def test_the_schedule_of_this_table_is_the_default() -> None:
    assert [wait.total_seconds() for wait in get_settings().webhook_schedule] == SCHEDULE_SECONDS


def test_the_last_attempt_of_the_schedule_ends_the_delivery(session: Session) -> None:
    endpoint = make_endpoint(session)
    delivery = make_delivery(session, endpoint, len(SCHEDULE_SECONDS))
    assert record(session, delivery, endpoint, 500) is None
    assert (delivery.status, delivery.failure_reason) == (DeliveryStatus.FAILED, FailureReason.EXHAUSTED)


def test_the_waits_of_each_delivery_differ_and_add_up_to_73_to_78_hours(session: Session) -> None:
    endpoint, totals = make_endpoint(session), set[float]()
    for _ in range(20):
        delivery, total = make_delivery(session, endpoint), timedelta()
        for _ in SCHEDULE_SECONDS:
            total += record(session, delivery, endpoint, None) or timedelta()
        assert 73 * HOUR <= total <= 78 * HOUR
        totals.add(round(total.total_seconds()))
    assert len(totals) > 15


RETRY_AFTER = {
    "none": (0, 0, 4, 6),
    "longer than the schedule": (0, 60, 60, 60),
    "an hour": (0, 3600, 3600, 3600),
    "more than an hour is an hour": (0, 7200, 3600, 3600),
    "years are an hour": (1, 10**9, 3600, 3600),
    "shorter than the schedule": (3, 60, 5760, 8640),
    "a day, where the schedule is shorter than that": (8, 86_400, 69_120, 103_680),
    "in the past": (0, -60, 4, 6),
}


@pytest.mark.parametrize(("earlier_attempts", "after", "least", "most"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_retry_after_lengthens_the_wait_up_to_an_hour_and_never_shortens_it(
    session: Session, earlier_attempts: int, after: int, least: int, most: int
) -> None:
    endpoint = make_endpoint(session)
    wait = record(session, make_delivery(session, endpoint, earlier_attempts), endpoint, 429, after)
    assert wait is not None
    assert least <= wait.total_seconds() <= most + 1


@pytest.mark.parametrize(
    ("earlier_failures", "pause"),
    [(0, None), (1, None), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 300), (8, 300), (100_000, 300)],
)
def test_an_endpoint_pauses_from_its_third_failure_in_a_row(
    session: Session, earlier_failures: int, pause: int | None
) -> None:
    endpoint = make_endpoint(session, consecutive_failures=earlier_failures, failing_since=utc_now())
    now = utc_now()
    record(session, make_delivery(session, endpoint), endpoint, 503)
    assert endpoint.consecutive_failures == earlier_failures + 1
    paused = (endpoint.paused_until - now).total_seconds() if endpoint.paused_until else None
    assert paused == (None if pause is None else pytest.approx(pause, abs=9))


GONE, FAILING, REQUESTED = DisabledReason.GONE, DisabledReason.FAILING, DisabledReason.REQUESTED
DISABLING = {
    "first failure": (500, {}, None, None),
    "failing for less than five days": (500, {"failing_since": 5 * DAY - MINUTE}, None, None),
    "failing for five days": (500, {"failing_since": 5 * DAY}, FAILING, FailureReason.DISABLED),
    "no answer for five days": (None, {"failing_since": 6 * DAY}, FAILING, FailureReason.DISABLED),
    "gone": (410, {}, GONE, FailureReason.DISABLED),
    "gone after five days": (410, {"failing_since": 6 * DAY}, GONE, FailureReason.DISABLED),
    "not found is not gone": (404, {}, None, None),
    "its owner disabled it during the request": (410, {"disabled_at": SECOND}, REQUESTED, FailureReason.DISABLED),
    "it was deleted during the request": (410, {"deleted_at": SECOND}, None, FailureReason.DELETED),
}


@pytest.mark.parametrize(("status", "ago", "disabled", "failed"), DISABLING.values(), ids=DISABLING)
def test_an_endpoint_is_disabled_at_a_410_and_after_five_days_of_failures(
    session: Session,
    status: int | None,
    ago: dict[str, timedelta],
    disabled: DisabledReason | None,
    failed: FailureReason | None,
) -> None:
    endpoint = make_endpoint(session, **{name: utc_now() - each for name, each in ago.items()})
    if endpoint.disabled_at:
        endpoint.disabled_reason = REQUESTED
    delivery, waiting = make_delivery(session, endpoint), make_delivery(session, endpoint)
    waiting.due_at = utc_now()
    session.flush()
    record(session, delivery, endpoint, status)
    session.refresh(waiting)
    assert (endpoint.disabled_reason, delivery.failure_reason) == (disabled, failed)
    assert (delivery.due_at is None) == (failed is not None)
    if disabled in {GONE, FAILING}:
        assert waiting.failure_reason is FailureReason.DISABLED
        assert endpoint.missed_since is not None


UNCHANGED, CLEARED = (7, True), (0, False)
CLEARING = {
    "a success": (200, None, CLEARED),
    "any 2xx": (204, None, CLEARED),
    "a failure": (500, None, (8, True)),
    "another URL": (None, {"url": "http://127.0.0.1:2/"}, CLEARED),
    "the same URL": (None, {"url": URL}, UNCHANGED),
    "another name": (None, {"name": "other"}, UNCHANGED),
    "enabling what is enabled": (None, {"enabled": True}, UNCHANGED),
    "disabling": (None, {"enabled": False}, UNCHANGED),
}


@pytest.mark.parametrize(("status", "change", "expected"), CLEARING.values(), ids=CLEARING)
def test_a_success_or_another_url_clears_past_failures(
    session: Session, status: int | None, change: dict[str, Any] | None, expected: tuple[int, bool]
) -> None:
    endpoint = make_endpoint(session, failing_since=utc_now(), consecutive_failures=7, paused_until=utc_now() + DAY)
    if status is not None:
        record(session, make_delivery(session, endpoint), endpoint, status)
    else:
        webhooks.update_endpoint(session, endpoint.project_id, endpoint.id, WebhookEndpointUpdate(**change or {}))
    assert (endpoint.consecutive_failures, endpoint.failing_since is not None) == expected
    assert (endpoint.paused_until is not None) == expected[1]


def test_enabling_a_disabled_endpoint_clears_its_failures(session: Session) -> None:
    endpoint = make_endpoint(session, failing_since=utc_now(), consecutive_failures=7, disabled_at=utc_now())
    webhooks.update_endpoint(session, endpoint.project_id, endpoint.id, WebhookEndpointUpdate(enabled=True))
    assert (endpoint.disabled_at, endpoint.consecutive_failures, endpoint.failing_since) == (None, 0, None)
