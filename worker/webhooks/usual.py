"""Claims and records a delivery in one statement each, if nothing about it is unusual; most are like that.

What is unusual is left alone: the step of `worker/webhooks/deliver.py` takes it. A step asks Postgres eleven times,
through SQLAlchemy's objects, and that is most of what a delivery costs a sender.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from psycopg.types.json import Jsonb
from sqlalchemy import inspect

from shared.database import driver_pipeline, driver_transaction
from shared.db.tables import Owned
from shared.db.times import utc_now
from shared.settings import get_settings
from shared.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent


@dataclass(frozen=True)
class Plan:
    """A claimed delivery, and what its request needs."""

    delivery: WebhookDelivery
    event: WebhookEvent
    endpoint: WebhookEndpoint


class Unusual(Exception):
    """What is due first is left to a step."""


Row = TypeVar("Row", bound=Owned)
# Chooses as a step does. If a row is due, but unusual, all columns of the answer are null. Projects are named again
# for Postgres, which may else plan, under row-level security, to read all events of the project while they seem few.
_CLAIM = """
WITH due AS (
    SELECT id FROM webhook_deliveries WHERE project_id = %(project_id)s AND due_at <= %(now)s AND {which}
    ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
    UPDATE webhook_deliveries AS delivery SET due_at = %(lease_end)s, enqueued_at = %(now)s, failures = 1
    FROM webhook_events AS event, webhook_endpoints AS endpoint
    WHERE delivery.id = (SELECT id FROM due) AND delivery.failures = 0
        AND event.project_id = %(project_id)s AND event.id = delivery.event_id AND NOT event.is_test
        AND endpoint.project_id = %(project_id)s AND endpoint.id = delivery.endpoint_id
        AND endpoint.failing_since IS NULL
        AND endpoint.deleted_at IS NULL AND endpoint.disabled_at IS NULL
        AND (endpoint.paused_until IS NULL OR endpoint.paused_until <= %(now)s)
    RETURNING delivery.id, delivery.is_full, delivery.traceparent,
        event.id, event.created_at, event.type, event.object_id, event.data,
        endpoint.id, endpoint.url, endpoint.sealed_secret, endpoint.sealed_old_secret, endpoint.old_secret_expires_at
)
SELECT claimed.* FROM due LEFT JOIN claimed ON true
"""
_CLAIM_OF_ENDPOINT = _CLAIM.format(which="endpoint_id = %(endpoint_id)s")
_CLAIM_OF_PROJECT = _CLAIM.format(
    which="""endpoint_id <> ALL (%(full)s) AND endpoint_id NOT IN
        (SELECT id FROM webhook_endpoints WHERE project_id = %(project_id)s AND paused_until > %(now)s)"""
)
_DELIVERY = ("id", "is_full", "traceparent")
_EVENT = ("id", "created_at", "type", "object_id", "data")
_ENDPOINT = ("id", "url", "sealed_secret", "sealed_old_secret", "old_secret_expires_at")


def claim(
    project_id: str, endpoint_id: str | None, full: list[str], take_slot: Callable[[WebhookDelivery], None]
) -> Plan | None:
    """Claim what a step would claim next of the endpoint, or of the project without one; None if nothing is due.

    Raises `Unusual` for a test event, a delivery whose last claim was not recorded, and an endpoint that was deleted or
    disabled, is paused, or whose failures a success ends. `full`: endpoints without a free slot, which a claim for the
    project passes over. If `take_slot` raises, nothing is claimed.
    """
    now = utc_now()
    lease_end = now + get_settings().lease
    values = {"project_id": project_id, "endpoint_id": endpoint_id, "full": full, "now": now, "lease_end": lease_end}
    with driver_transaction(project_id) as connection:
        text = _CLAIM_OF_PROJECT if endpoint_id is None else _CLAIM_OF_ENDPOINT
        found = connection.execute(text, values).fetchone()
        if found is None:
            return None
        if found[0] is None:
            raise Unusual
        event = _read(WebhookEvent, _EVENT, found[3:8], project_id=project_id)
        endpoint = _read(WebhookEndpoint, _ENDPOINT, found[8:], project_id=project_id)
        of_event = {"event_id": event.id, "endpoint_id": endpoint.id, "project_id": project_id}
        lease = {"due_at": lease_end, "enqueued_at": now, "failures": 1}
        delivery = _read(WebhookDelivery, _DELIVERY, found[:3], **of_event, **lease)
        take_slot(delivery)
    return Plan(delivery, event, endpoint)


def _read(model: type[Row], names: tuple[str, ...], values: tuple[Any, ...], **others: Any) -> Row:
    """A row with the columns that were read. An entity that is made as a new one is takes as long as a statement."""
    row: Row = inspect(model).class_manager.new_instance()
    row.__dict__.update(zip(names, values, strict=True), **others)
    return row


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
    with driver_pipeline(delivery.project_id) as connection:
        recorded = connection.execute(_RECORD, values)
    return recorded.rowcount == 1
