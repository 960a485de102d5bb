"""Claims and records a delivery in one statement each, if nothing about it is unusual; most are like that.

What is unusual is left alone: the step of `worker/webhooks/deliver.py` takes it. A step asks Postgres eleven times,
through SQLAlchemy's objects, and that is most of what a delivery costs a sender.
"""

from collections.abc import Callable
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from shared.database import driver_transaction
from shared.db.times import utc_now
from shared.settings import get_settings
from shared.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent


@dataclass(frozen=True)
class Plan:
    """A claimed delivery, and what its request needs."""

    delivery: WebhookDelivery
    event: WebhookEvent
    endpoint: WebhookEndpoint


# Chooses as a step does: what has been due longest, but for endpoints that have no free slot or are paused.
_CLAIM = """
UPDATE webhook_deliveries AS delivery SET due_at = %(lease_end)s, enqueued_at = %(now)s, failures = 1
FROM webhook_events AS event, webhook_endpoints AS endpoint
WHERE delivery.id = (
        SELECT id FROM webhook_deliveries
        WHERE project_id = %(project_id)s AND due_at <= %(now)s AND endpoint_id <> ALL (%(full)s) AND endpoint_id NOT IN
            (SELECT id FROM webhook_endpoints WHERE project_id = %(project_id)s AND paused_until > %(now)s)
        ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    )
    AND delivery.failures = 0
    AND event.id = delivery.event_id AND NOT event.is_test
    AND endpoint.id = delivery.endpoint_id AND endpoint.failing_since IS NULL
    AND endpoint.deleted_at IS NULL AND endpoint.disabled_at IS NULL
RETURNING delivery.id, delivery.is_full, delivery.traceparent,
    event.id, event.created_at, event.type, event.object_id, event.data,
    endpoint.id, endpoint.name, endpoint.url, endpoint.updated_at, endpoint.sealed_secret,
    endpoint.signing_secret_hint, endpoint.sealed_old_secret, endpoint.old_secret_expires_at
"""
_EVENT = ("id", "created_at", "type", "object_id", "data")
_ENDPOINT = (
    "id",
    "name",
    "url",
    "updated_at",
    "sealed_secret",
    "signing_secret_hint",
    "sealed_old_secret",
    "old_secret_expires_at",
)


def claim(project_id: str, full: list[str], take_slot: Callable[[WebhookDelivery], None]) -> Plan | None:
    """Claim the delivery of the project that a step would claim next; None if there is none, or if it is unusual.

    Unusual are a test event, a delivery whose last claim was not recorded, and an endpoint that was deleted or
    disabled, or whose failures a success ends. `full`: endpoints without a free slot. If `take_slot` raises, nothing
    is claimed.
    """
    now = utc_now()
    lease_end = now + get_settings().lease
    with driver_transaction(project_id) as connection:
        values = {"project_id": project_id, "full": full, "now": now, "lease_end": lease_end}
        row = connection.execute(_CLAIM, values).fetchone()
        if row is None:
            return None
        event = WebhookEvent(project_id=project_id, **dict(zip(_EVENT, row[3:8], strict=True)))
        endpoint = WebhookEndpoint(project_id=project_id, **dict(zip(_ENDPOINT, row[8:], strict=True)))
        delivery = WebhookDelivery(
            id=row[0],
            project_id=project_id,
            event_id=event.id,
            endpoint_id=endpoint.id,
            is_full=row[1],
            traceparent=row[2],
            due_at=lease_end,
            enqueued_at=now,
            failures=1,
        )
        take_slot(delivery)
    return Plan(delivery, event, endpoint)


_RECORD = """
WITH held AS (
    UPDATE webhook_deliveries
    SET due_at = NULL, failures = 0, attempts = attempts + 1, status = 'succeeded', finished_at = %(finished_at)s
    WHERE id = %(delivery_id)s AND due_at = %(lease_end)s RETURNING id
)
INSERT INTO webhook_attempts (id, created_at, project_id, delivery_id, url, address, request_headers, response_status,
    response_headers, response_body, duration_ms, finished_at)
SELECT %(id)s, %(created_at)s, %(project_id)s, id, %(url)s, %(address)s, %(request_headers)s, %(response_status)s,
    %(response_headers)s, %(response_body)s, %(duration_ms)s, %(finished_at)s
FROM held
"""


def record_success(delivery: WebhookDelivery, attempt: WebhookAttempt) -> bool:
    """Store the attempt that has succeeded, and end its delivery. False, without a trace, if the lease ran out."""
    values = attempt.model_dump() | {
        "lease_end": delivery.due_at,
        "request_headers": Jsonb(attempt.request_headers),
        "response_headers": Jsonb(attempt.response_headers),
    }
    with driver_transaction(delivery.project_id) as connection:
        return connection.execute(_RECORD, values).rowcount == 1
