"""POST /v1/webhook_endpoints/{webhook_endpoint_id}/rotate_secret."""

from datetime import timedelta

import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from standardwebhooks import Webhook, WebhookVerificationError

from shared.db.times import utc_now
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookEndpoint
from tests.api.test_webhook_endpoints import create, made_long_ago
from tests.servers import Receiver
from tests.worker.support import change, write_event
from tests.world import Person, row, work


def signers(receiver: Receiver, secrets: list[str]) -> list[bool]:
    """Which of the secrets verify the newest delivery, by OpenAI's SDK and by the library alike."""
    headers, body = receiver.received[-1]
    found = []
    for secret in secrets:
        try:
            Webhook(secret).verify(body.decode(), headers)
            OpenAI(api_key="-").webhooks.unwrap(body, headers, secret=secret)
            found.append(True)
        except WebhookVerificationError:
            with pytest.raises(InvalidWebhookSignatureError):
                OpenAI(api_key="-").webhooks.unwrap(body, headers, secret=secret)
            found.append(False)
    return found


def test_while_the_old_secret_is_kept_both_verify_the_same_delivery(alice: Person, receiver: Receiver) -> None:
    made = made_long_ago(alice, url=receiver.url, event_types=[EventType.JOB_CANCELLED])
    rotated = alice.openai.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
    secrets = [made.signing_secret, rotated.signing_secret]
    assert rotated.signing_secret_hint != made.signing_secret_hint
    assert (rotated.updated_at or 0) > (made.updated_at or 0) - 3600
    write_event(alice)
    work()
    assert signers(receiver, secrets) == [True, True]
    ends_at = row(WebhookEndpoint, made.id).old_secret_expires_at
    assert timedelta(hours=23.9) < ends_at - utc_now() <= timedelta(hours=24)
    change(WebhookEndpoint, made.id, old_secret_expires_at=utc_now())
    write_event(alice)
    work()
    assert signers(receiver, secrets) == [False, True]


def test_a_secret_that_is_not_kept_is_worth_nothing_at_once_also_for_what_was_told_before(
    alice: Person, receiver: Receiver
) -> None:
    made = create(alice, url=receiver.url, event_types=[EventType.JOB_CANCELLED])
    write_event(alice)
    rotate = alice.openai.webhooks.rotate_secret
    secrets = [made.signing_secret]
    secrets += [rotate(made.id, keep_old_secret_active_for_24_hours=kept).signing_secret for kept in (True, False)]
    secrets.append(alice.http.post(f"/webhook_endpoints/{made.id}/rotate_secret").json()["signing_secret"])
    work()
    assert signers(receiver, secrets) == [False, False, False, True]
    assert len(set(secrets)) == 4


def test_a_wrong_order_to_rotate_is_refused(alice: Person) -> None:
    made = create(alice)
    answer = alice.http.post(f"/webhook_endpoints/{made.id}/rotate_secret", json={"keep": True})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "keep")
    assert alice.openai.webhooks.retrieve(made.id).signing_secret_hint == made.signing_secret_hint
