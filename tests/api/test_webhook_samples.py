"""Each event has a sample and a description: without one of them `/openapi.json` would be answered with 500."""

import pytest

from api.webhooks.openapi import webhook_operations
from api.webhooks.samples import sample
from shared.webhooks.event_types import EventType


@pytest.mark.parametrize("type", EventType)
def test_an_event_has_a_sample_of_its_object(type: EventType) -> None:
    assert sample(type)["id"]


def test_the_document_describes_each_event() -> None:
    assert set(webhook_operations()) == set(EventType)
