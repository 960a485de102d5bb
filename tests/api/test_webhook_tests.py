"""POST /v1/webhook_endpoints/{webhook_endpoint_id}/test: a sample event, and what the receiver answers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from openai import BadRequestError, InternalServerError

from shared.db.times import utc_now
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.api.test_webhook_endpoints import create, made_long_ago
from tests.servers import Receiver, closed_port
from tests.worker.support import change, ids, settings
from tests.world import Person, step


def tried(person: Person, endpoint_id: str, type: Any = "fine_tuning.job.succeeded") -> Any:
    """What a test of the endpoint answers, while a worker works."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(person.openai.webhooks.test, endpoint_id, event_type=type)
        while not asked.done():
            for delivery_id in ids(WebhookDelivery):
                step(WebhookDelivery, delivery_id)
        return asked.result()


def test_a_test_leaves_its_time(alice: Person, receiver: Receiver) -> None:
    made = made_long_ago(alice, url=receiver.url)
    tried(alice, made.id)
    assert alice.openai.webhooks.retrieve(made.id).updated_at == made.created_at - 3600


@pytest.mark.parametrize("status", [200, 500, 302, 410])
def test_a_test_tells_what_the_receiver_answered_and_changes_nothing(
    alice: Person, receiver: Receiver, status: int
) -> None:
    made = create(alice, url=receiver.url, event_types=["fine_tuning.job.failed"])
    before = alice.http.get(f"/webhook_endpoints/{made.id}").text
    receiver.answers = [status]
    result = tried(alice, made.id, EventType.DATASET_FAILED)
    assert (result.status_code, result.success, result.event_type) == (status, True, "dataset.failed")
    assert result.webhook_endpoint_id == made.id
    [event] = receiver.events
    assert (event["type"], event["data"]["object"]) == ("dataset.failed", "dataset")
    [delivery] = alice.http.get(f"/webhook_endpoints/{made.id}/deliveries").json()["data"]
    assert (delivery["id"], delivery["event_id"]) == (result.delivery_id, event["id"])
    assert (delivery["failure_reason"], delivery["next_attempt_at"]) == (None if status == 200 else "test_failed", None)
    assert alice.http.get(f"/webhook_endpoints/{made.id}").text == before


def test_a_test_of_an_address_at_which_nobody_listens_says_so(alice: Person) -> None:
    made = create(alice, url=f"http://127.0.0.1:{closed_port()}/")
    with pytest.raises(BadRequestError, match="refused") as refused:
        tried(alice, made.id)
    assert refused.value.code == "webhook_test_failed"


def test_an_endpoint_that_is_disabled_or_left_alone_can_be_tested(alice: Person, receiver: Receiver) -> None:
    made = create(alice, url=receiver.url)
    alice.openai.webhooks.update(made.id, extra_body={"enabled": False})
    change(WebhookEndpoint, made.id, paused_until=utc_now() + timedelta(hours=1))
    assert tried(alice, made.id).status_code == 200


def test_a_test_without_a_worker_is_answered_with_503(alice: Person) -> None:
    made = create(alice)
    with (
        settings(TUNERY_ENQUEUE_AGAIN_AFTER="0.1", TUNERY_WEBHOOK_TIMEOUT="0.1"),
        pytest.raises(InternalServerError) as answer,
    ):
        alice.openai.webhooks.test(made.id, event_type="fine_tuning.job.failed")
    assert (answer.value.status_code, answer.value.code) == (503, "worker_unavailable")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({}, "event_type"),
        ({"event_type": "batch.completed"}, "event_type"),
        ({"event_type": "dataset.failed", "x": 1}, "x"),
    ],
)
def test_a_wrong_test_is_refused_and_sends_nothing(alice: Person, asked: dict[str, Any], param: str) -> None:
    answer = alice.http.post(f"/webhook_endpoints/{create(alice).id}/test", json=asked)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert ids(WebhookDelivery) == []
