"""Forwarding an event to an address of this machine: signed as a delivery, and what became of it."""

import json
from typing import Any

import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from standardwebhooks import Webhook, WebhookVerificationError

from api.webhooks.samples import sample
from cli.webhooks.forward import Forwarder, signing_secret
from shared.webhooks.event_types import EventType
from tests.servers import Receiver, closed_port, talking

SECRET = signing_secret("sk-alice")


def event(type: EventType) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "created_at": 1_790_000_000,
        "type": type,
        "data": sample(type),
        "is_test": True,
    }


def test_the_secret_of_a_key_never_changes() -> None:
    assert signing_secret("sk-alice") == "whsec_87TKeEDOcV++QT4ORsT8TWrVvspWIVZDPlU3+V+/d2c="
    assert signing_secret("sk-bob") != SECRET


@pytest.mark.parametrize("type", EventType)
def test_every_event_is_verified_by_the_sdk_and_by_the_standards_library(receiver: Receiver, type: EventType) -> None:
    answer = Forwarder(receiver.url, SECRET).forward(event(type))
    [(headers, body)] = receiver.received
    OpenAI(api_key="unused", webhook_secret=SECRET).webhooks.verify_signature(body, headers)
    assert Webhook(SECRET).verify(body, headers) == {
        "id": "evt_1",
        "object": "event",
        "created_at": 1_790_000_000,
        "type": type,
        "data": {"id": sample(type)["id"]} if type.is_thin else sample(type),
    }
    assert (answer.status, answer.error) == (200, None)
    assert (headers["content-type"], headers["webhook-id"]) == ("application/json", "evt_1")
    assert headers["user-agent"].startswith("Tunery/")


def test_what_was_altered_is_refused(receiver: Receiver) -> None:
    Forwarder(receiver.url, SECRET).forward(event(EventType.JOB_SUCCEEDED))
    [(headers, body)] = receiver.received
    for changed, altered in ((headers, body + b" "), (headers | {"webhook-id": "evt_2"}, body)):
        with pytest.raises(InvalidWebhookSignatureError):
            OpenAI(api_key="unused", webhook_secret=SECRET).webhooks.verify_signature(altered, changed)
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(altered, changed)


def test_who_asks_for_all_gets_the_whole_object(receiver: Receiver) -> None:
    Forwarder(receiver.url, SECRET, is_full=True).forward(event(EventType.JOB_SUCCEEDED))
    assert json.loads(receiver.received[0][1])["data"] == sample(EventType.JOB_SUCCEEDED)


def test_a_refusal_is_told_with_the_first_line_that_came_with_it(receiver: Receiver) -> None:
    receiver.answers, receiver.body = [400], b"\n bad signature \nTraceback\n"
    answer = Forwarder(receiver.url, SECRET).forward(event(EventType.JOB_SUCCEEDED))
    assert (answer.status, answer.error) == (400, "bad signature")


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [307], {"location": "/elsewhere"}
    answer = Forwarder(receiver.url, SECRET).forward(event(EventType.JOB_SUCCEEDED))
    assert (answer.status, answer.error) == (307, "a redirect to /elsewhere is not followed")
    assert len(receiver.received) == 1


def test_an_address_where_nobody_is_or_that_speaks_no_http_is_told() -> None:
    nobody = Forwarder(f"http://127.0.0.1:{closed_port()}/", SECRET).forward(event(EventType.JOB_SUCCEEDED))
    assert (nobody.status, nobody.error) == (None, "Connection refused")
    with talking(lambda visitor, _: visitor.sendall(b"220 mail\r\n")) as visits:
        mail = Forwarder(f"http://127.0.0.1:{visits.port}/", SECRET).forward(event(EventType.JOB_SUCCEEDED))
    assert mail.status is None
    assert mail.error
