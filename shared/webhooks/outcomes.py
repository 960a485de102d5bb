"""Decides after each attempt whether its delivery has ended or is retried, and whether its endpoint is paused."""

from datetime import datetime, timedelta
from zlib import crc32

from sqlmodel import Session, select

from shared.db.claims import release
from shared.db.times import utc_now
from shared.settings import get_settings
from shared.webhooks import service as webhooks
from shared.webhooks.models import (
    DeliveryStatus,
    DisabledReason,
    FailureReason,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

GONE = 410
FAILURES_BEFORE_PAUSE = 3
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=5)
LONGEST_RETRY_AFTER = timedelta(hours=1)


def record_attempt(
    session: Session,
    delivery: WebhookDelivery,
    endpoint: WebhookEndpoint,
    attempt: WebhookAttempt,
    retry_after: timedelta | None,
) -> None:
    """Store an attempt, and end its delivery or make the next attempt due.

    `endpoint` is as it was before the request. After a failure it is read again and locked; the delivery is locked
    already, and this order holds everywhere.
    """
    session.add(attempt)
    delivery.attempts += 1
    if attempt.error is None:
        finish(delivery, None)
        if endpoint.failing_since is not None:
            webhooks.clear_failures(_locked(session, endpoint))
        return
    endpoint = _locked(session, endpoint)
    if endpoint.disabled_at is None and endpoint.deleted_at is None:
        _count_failure(session, endpoint, is_gone=attempt.response_status == GONE)
    if endpoint.deleted_at is not None:
        finish(delivery, FailureReason.DELETED)
    elif endpoint.disabled_at is not None:
        finish(delivery, FailureReason.DISABLED)
    elif delivery.attempts > len(get_settings().webhook_schedule):
        finish(delivery, FailureReason.EXHAUSTED)
    else:
        release(delivery, _next_attempt(delivery, retry_after))


def _locked(session: Session, endpoint: WebhookEndpoint) -> WebhookEndpoint:
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id)
    return session.exec(query.with_for_update(key_share=True)).one()


def _count_failure(session: Session, endpoint: WebhookEndpoint, *, is_gone: bool) -> None:
    """Count a failure. Pauses the endpoint from the third in a row on; disables it after days of them, or on a 410."""
    now = utc_now()
    endpoint.failing_since = endpoint.failing_since or now
    endpoint.consecutive_failures += 1
    if is_gone or now - endpoint.failing_since >= get_settings().webhook_disable_after:
        webhooks.disable(session, endpoint, DisabledReason.GONE if is_gone else DisabledReason.FAILING)
        return
    doublings = endpoint.consecutive_failures - FAILURES_BEFORE_PAUSE
    if doublings >= 0:  # 20 doublings are bounded already: more would overflow a timedelta
        endpoint.paused_until = now + min(FIRST_PAUSE * 2.0 ** min(doublings, 20), LONGEST_PAUSE)


def _next_attempt(delivery: WebhookDelivery, retry_after: timedelta | None) -> datetime:
    """Return the time of the schedule ±20 %, or later if `Retry-After` says so. A pause can delay it further."""
    planned = get_settings().webhook_schedule[delivery.attempts - 1]
    wait = max(planned * (1 + _jitter(delivery)), min(retry_after or timedelta(), LONGEST_RETRY_AFTER))
    return utc_now() + wait


def _jitter(delivery: WebhookDelivery) -> float:
    """Return -0.2 to 0.2: a fixed fraction per delivery, which changes its sign after each attempt.

    So the waits of any delivery add up to 73 to 78 hours. With an independent random value each time, one in eleven
    deliveries would be given up before 70 hours.
    """
    fraction = 0.4 * crc32(delivery.id.encode()) / 0xFFFF_FFFF - 0.2
    return fraction if delivery.attempts % 2 else -fraction


def give_up_disabled(endpoint: WebhookEndpoint, delivery: WebhookDelivery, event: WebhookEvent) -> None:
    """Give up a delivery whose event was written while another transaction disabled the endpoint."""
    webhooks.note_missed(endpoint, event.created_at)
    finish(delivery, FailureReason.DISABLED)


def finish(delivery: WebhookDelivery, why_failed: FailureReason | None) -> None:
    """End a delivery, as succeeded if `why_failed` is None."""
    delivery.status = DeliveryStatus.SUCCEEDED if why_failed is None else DeliveryStatus.FAILED
    delivery.failure_reason, delivery.finished_at = why_failed, utc_now()
    release(delivery, None)
