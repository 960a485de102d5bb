"""One attempt at a delivery: sign it afresh, post it, write down what came back."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import Session
from standardwebhooks import Webhook

from shared.secrets import unseal
from shared.settings import get_settings
from shared.tables import epoch, utc_now
from shared.webhooks import service as webhooks
from shared.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from worker import sender
from worker.providers.errors import ProviderError
from worker.steps import Step, log

USER_AGENT = "Tunery/1.0 (webhooks)"
KEPT_BYTES = 2048


@dataclass(frozen=True)
class Plan:
    delivery: WebhookDelivery
    event: WebhookEvent
    endpoint: WebhookEndpoint


def _plan(session: Session, delivery: WebhookDelivery) -> Plan | None:
    endpoint = session.get_one(WebhookEndpoint, delivery.endpoint_id)
    if endpoint.deleted_at is not None:
        webhooks.give_up(delivery)
        return None
    return Plan(delivery, session.get_one(WebhookEvent, delivery.event_id), endpoint)


def _ask(plan: Plan) -> WebhookAttempt:
    began, started = utc_now(), time.monotonic()
    body = _body(plan.event)
    status, answer, error = None, None, None
    try:
        response = sender.post(plan.endpoint.url, body, _headers(plan, body), get_settings().webhook_timeout)
    except sender.Undeliverable as undeliverable:
        error = str(undeliverable)
    else:
        status = response.status
        answer = response.body[:KEPT_BYTES].decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        error = None if 200 <= status < 300 else f"HTTP {status}"
    return WebhookAttempt(
        created_at=began,
        project_id=plan.delivery.project_id,
        delivery_id=plan.delivery.id,
        response_status=status,
        response_body=answer,
        error=error,
        duration_ms=round((time.monotonic() - started) * 1000),
        finished_at=utc_now(),
    )


def _body(event: WebhookEvent) -> bytes:
    payload = {
        "id": event.id,
        "object": "event",
        "created_at": epoch(event.created_at),
        "type": event.type,
        "data": event.data,
    }
    return json.dumps(payload, separators=(",", ":")).encode()


def _headers(plan: Plan, body: bytes) -> dict[str, str]:
    now = datetime.now(UTC)
    signature = Webhook(unseal(plan.endpoint.sealed_secret)).sign(plan.delivery.id, now, body.decode())
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": plan.delivery.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }


def _record(session: Session, delivery: WebhookDelivery, _: Plan, attempt: WebhookAttempt | ProviderError) -> None:
    if isinstance(attempt, ProviderError):
        raise attempt  # a receiver is no provider: nothing here raises one
    webhooks.record_attempt(session, delivery, attempt)
    log.info("webhook attempt", status=attempt.response_status, error=attempt.error, duration_ms=attempt.duration_ms)


def _give_up(_: Session, delivery: WebhookDelivery) -> None:
    webhooks.give_up(delivery)


deliver = Step(WebhookDelivery, _plan, _ask, _record, _give_up)
