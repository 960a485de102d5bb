"""A project whose names hang at their name server takes its share of the lookups, and other projects look up theirs."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx2
import pytest

from api.chat.clients import client_of
from shared.projects.credentials import Account
from shared.providers.dialects import Dialect
from shared.security.guarded_network import RESOLVER
from shared.security.lookup_slots import MAX_LOOKUPS_PER_PROJECT
from shared.webhooks.models import WebhookDelivery
from tests.servers import PATIENCE
from tests.worker.support import endpoint_of, ids, write_event
from tests.worker.test_deliver import attempts
from tests.world import Person, step
from worker.net import http_client
from worker.providers.errors import ProviderError
from worker.providers.openai.client import OpenAIProvider
from worker.providers.openai.parsing import STATUSES

NOWHERE = "http://localhost:9/v1"
FAILURES = (http_client.Undeliverable, httpx2.ConnectError, ProviderError)  # nothing listens there
TOO_MANY = "too many lookups are pending"


@contextmanager
def share_taken(project_id: str) -> Iterator[None]:
    """As many lookups of the project hang as it may have."""
    for _ in range(MAX_LOOKUPS_PER_PROJECT):
        assert RESOLVER.slots.acquire(project_id)
    try:
        yield
    finally:
        for _ in range(MAX_LOOKUPS_PER_PROJECT):
            RESOLVER.slots.release(project_id)


def account_of(project_id: str, credential_id: str | None = None) -> Account:
    return Account(credential_id, project_id, NOWHERE, Dialect.OPENAI, 0, None)


def chat(project_id: str) -> object:
    async def ask() -> object:
        return await (await client_of(account_of(project_id, f"cred_of_{project_id}"))).post(NOWHERE)

    return asyncio.run(ask())


CALLS: dict[str, Callable[[str], object]] = {
    "fetch": lambda id: list(
        http_client.get(NOWHERE, 1, timedelta(seconds=PATIENCE), network=http_client.network_of(id))
    ),
    "chat": chat,
    "provider": lambda id: OpenAIProvider(account_of(id), timedelta(seconds=PATIENCE), STATUSES).list_base_models(),
}


@pytest.mark.parametrize("call", CALLS)
def test_calls_wait_for_the_share_of_their_project(call: str, server: str) -> None:
    with share_taken("proj_hers"):
        for project_id, is_refused in (("proj_hers", True), ("proj_his", False)):
            with pytest.raises(FAILURES) as failed:
                CALLS[call](project_id)
            assert (TOO_MANY in "".join(map(str, _chain(failed.value)))) is is_refused


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_deliveries_wait_for_the_share_of_their_project(alice: Person, bob: Person) -> None:
    with share_taken(alice.project_id):
        for person in (alice, bob):
            endpoint = endpoint_of(person, NOWHERE)
            write_event(person)
            step(WebhookDelivery, ids(WebhookDelivery)[-1])
            [attempt] = attempts(person, endpoint["id"])
            assert (TOO_MANY in attempt["error"]) is (person is alice)
