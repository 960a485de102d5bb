"""What an attempt means for its delivery and for its endpoint: done, tried again, waited for, or given up."""

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
FAILURES_UNTIL_IT_WAITS = 3
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=10), timedelta(minutes=5)
LONGEST_RETRY_AFTER = timedelta(hours=1)


def record_attempt(
    session: Session,
    delivery: WebhookDelivery,
    endpoint: WebhookEndpoint,
    attempt: WebhookAttempt,
    retry_after: timedelta | None,
) -> None:
    """Write down one request, and when the next one is due, if any. `endpoint` is as it was before the request."""
    session.add(attempt)
    delivery.attempts += 1
    if attempt.error is None:
        finish(delivery, None)
        if endpoint.failing_since is not None:
            webhooks.forgive(_locked(session, endpoint))
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
    """An endpoint that keeps failing is left alone for a while, and after days of it, or if it is gone, for good."""
    now = utc_now()
    endpoint.failing_since = endpoint.failing_since or now
    endpoint.consecutive_failures += 1
    if is_gone or now - endpoint.failing_since >= get_settings().webhook_disable_after:
        webhooks.disable(session, endpoint, DisabledReason.GONE if is_gone else DisabledReason.FAILING)
        return
    surplus = endpoint.consecutive_failures - FAILURES_UNTIL_IT_WAITS
    if surplus >= 0:
        endpoint.paused_until = now + min(FIRST_WAIT * 2.0 ** min(surplus, 20), LONGEST_WAIT)


def _next_attempt(delivery: WebhookDelivery, retry_after: timedelta | None) -> datetime:
    """As planned, ±20 %; later if the receiver asked for it. Whatever is due waits while the endpoint is left alone."""
    planned = get_settings().webhook_schedule[delivery.attempts - 1]
    wait = max(planned * (1 + _jitter(delivery)), min(retry_after or timedelta(), LONGEST_RETRY_AFTER))
    return utc_now() + wait


def _jitter(delivery: WebhookDelivery) -> float:
    """-0.2 to 0.2. Each delivery has its own; what it waits less at one time it waits more at the next.

    So all waits together take 73 to 78 hours. With new chances each time one in eleven would be given up before 70.
    """
    chance = 0.4 * crc32(delivery.id.encode()) / 0xFFFF_FFFF - 0.2
    return chance if delivery.attempts % 2 else -chance


def miss(endpoint: WebhookEndpoint, delivery: WebhookDelivery, event: WebhookEvent) -> None:
    """Give up what was told while the endpoint was being disabled."""
    webhooks.note_missed(endpoint, event.created_at)
    finish(delivery, FailureReason.DISABLED)


def finish(delivery: WebhookDelivery, why_failed: FailureReason | None) -> None:
    """End a delivery; None if it succeeded."""
    delivery.status = DeliveryStatus.SUCCEEDED if why_failed is None else DeliveryStatus.FAILED
    delivery.failure_reason, delivery.finished_at = why_failed, utc_now()
    release(delivery, None)
