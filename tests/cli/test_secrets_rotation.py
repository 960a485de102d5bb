"""`tunery secrets rotate`: what an old key sealed is moved to the new one, so that the old one can go."""

import json
from typing import Any

from cryptography.fernet import Fernet
from standardwebhooks import Webhook

from api.webhook_samples import sample
from shared.database import transaction
from shared.secrets import seal
from shared.settings import get_settings
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint
from shared.webhooks.resealing import AT_ONCE
from shared.webhooks.schemas import WebhookEndpointCreate
from tests.api.test_webhook_endpoints import create
from tests.cli.terminal import Tunery
from tests.servers import Receiver
from tests.worker.levers import change, ids, settings
from tests.world import Person, row, step

ASKED: dict[str, Any] = {"json": {"event_type": "dataset.failed"}, "headers": {"Idempotency-Key": "k"}}
OTHER = WebhookEndpointCreate(name="other", url="https://example.com/", event_types=[EventType.DATASET_FAILED])


def test_after_it_the_old_key_can_be_removed_and_what_cannot_be_opened_is_named(
    alice: Person, bob: Person, tunery: Tunery, receiver: Receiver
) -> None:
    [old] = [key.get_secret_value() for key in get_settings().secret_keys]
    new, foreign = (Fernet.generate_key().decode() for _ in range(2))
    first = create(alice, url=receiver.url)
    with transaction() as session:
        webhooks.emit(session, alice.project_id, EventType.JOB_SUCCEEDED, sample(EventType.JOB_SUCCEEDED))
    second = alice.openai.webhooks.rotate_secret(first.id, keep_old_secret_active_for_24_hours=True)
    done, lost = create(alice).id, create(alice).id
    answer = alice.http.post("/webhook_events", **ASKED)
    with transaction() as session:
        for _ in range(AT_ONCE):
            webhooks.create_endpoint(session, bob.project_id, OTHER)
    for endpoint_id, key in ((done, new), (lost, foreign)):
        with settings(TUNERY_SECRET_KEYS=json.dumps([key])):
            sealed = seal("whsec_any", row(WebhookEndpoint, endpoint_id).place)
        change(WebhookEndpoint, endpoint_id, sealed_secret=sealed)

    with settings(TUNERY_SECRET_KEYS=json.dumps([new, old])):
        said = tunery("secrets", "rotate")
    assert said.code == 1
    assert said.out == f"Sealed again with the first key: {2 + AT_ONCE}. Sealed with it already: 1.\n"
    assert said.err.startswith(f"{lost}: no key of TUNERY_SECRET_KEYS opens")
    assert said.err.count("we_") == 1

    [delivery_id] = ids(WebhookDelivery)
    with settings(TUNERY_SECRET_KEYS=json.dumps([new])):
        step(WebhookDelivery, delivery_id)
        assert alice.http.post("/webhook_events", **ASKED).content == answer.content
    [(headers, body)] = receiver.received
    for secret in (first.signing_secret, second.signing_secret):
        assert Webhook(secret).verify(body, headers)
