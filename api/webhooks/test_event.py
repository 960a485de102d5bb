"""Tests a webhook endpoint: the worker sends a sample event, and the request waits for the receiver's answer."""

from functools import partial

from sqlmodel import select
from starlette.concurrency import run_in_threadpool

from api import idempotency
from api.http.await_worker import wait_for
from api.webhooks.samples import sample
from shared.database import transaction
from shared.errors import Invalid, WorkerUnavailable
from shared.settings import get_settings
from shared.webhooks import deliveries
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookAttempt
from shared.webhooks.schemas import WebhookEndpointTest


async def send_and_wait(project_id: str, endpoint_id: str, type: EventType) -> WebhookEndpointTest:
    """Send a sample and return the receiver's answer.

    Raises `Invalid` if the receiver gave no answer, `WorkerUnavailable` if no worker has sent the sample in time. A
    repeated request with the same `Idempotency-Key` sends nothing and waits for the first one's answer.
    """
    delivery_id = await run_in_threadpool(_send, project_id, endpoint_id, type)
    settings = get_settings()
    timeout = settings.enqueue_again_after + settings.webhook_timeout
    attempt = await wait_for(partial(_attempt, project_id, delivery_id), timeout)
    if attempt is None:
        raise WorkerUnavailable(
            "No worker was free to send the test in time; its delivery in the log shows when it is sent"
        )
    return _result(endpoint_id, type, attempt)


def _send(project_id: str, endpoint_id: str, type: EventType) -> str:
    with transaction(project_id) as session:
        if delivery_id := idempotency.recall(session, type):
            return delivery_id
        delivery_id = deliveries.send_test(session, project_id, endpoint_id, type, sample(type)).id
        idempotency.remember(delivery_id)
        return delivery_id


def _attempt(project_id: str, delivery_id: str) -> WebhookAttempt | None:
    with transaction(project_id) as session:
        return session.exec(select(WebhookAttempt).where(WebhookAttempt.delivery_id == delivery_id)).first()


def _result(endpoint_id: str, type: EventType, attempt: WebhookAttempt) -> WebhookEndpointTest:
    if attempt.response_status is None:
        sentence = f"The receiver gave no answer: {attempt.error}. GET its delivery {attempt.delivery_id} for details"
        raise Invalid(sentence, code="webhook_test_failed", param="webhook_endpoint_id")
    return WebhookEndpointTest(
        webhook_endpoint_id=endpoint_id,
        event_type=type,
        status_code=attempt.response_status,
        delivery_id=attempt.delivery_id,
    )
