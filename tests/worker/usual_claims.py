"""A delivery about which nothing is unusual, and its claim by the short way. Import the fixtures to have them."""

from typing import Any

import pytest

from shared.webhooks.models import WebhookDelivery
from tests.servers import Receiver
from tests.worker.support import endpoint_of, ids, write_event
from tests.world import Person
from worker.webhooks import usual
from worker.webhooks.usual import Plan


@pytest.fixture
def endpoint(alice: Person, receiver: Receiver) -> Any:
    return endpoint_of(alice, receiver.url)


@pytest.fixture
def delivery_id(alice: Person, endpoint: Any) -> str:
    return told(alice)


def told(person: Person) -> str:
    write_event(person)
    return ids(WebhookDelivery)[-1]


def claimed(person: Person, endpoint_id: str | None = None, *, full: list[str] | None = None) -> Plan | None:
    return usual.claim(person.project_id, endpoint_id, full or [], lambda _: None)
