"""An account of Azure with an application, for the tests of its tokens and of its deployments."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from shared.projects.credentials import Account
from shared.providers.dialects import Dialect
from tests.providers.deploying import Deploying
from tests.providers.stand_ins import STAND_INS, logins_at
from tests.worker.support import settings
from tests.world import Sandbox
from worker.providers.azure.client import AzureProvider
from worker.providers.openai.parsing import STATUSES

STAND_IN = next(each for each in STAND_INS if each.name == "azure-application")
_numbers = count()
_clients: list[AzureProvider] = []


@pytest.fixture
def azure(server: str, speaking: Callable[[str], Sandbox]) -> Iterator[Deploying]:
    sandbox = speaking("azure")
    sandbox.reset()
    with settings(**logins_at(sandbox)):
        yield Deploying(STAND_IN, sandbox)
    sandbox.disarm()


@pytest.fixture
def new(azure: Deploying) -> AzureProvider:
    """A client without tokens."""
    return account_at(azure)


def account_at(azure: Deploying, **values: Any) -> AzureProvider:
    """Its own tenant's application, so that nobody else's tokens are its own."""
    options = {**dict(STAND_IN.options), "client_id": f"client-{next(_numbers)}"}
    account = Account(None, None, f"{azure.sandbox.address}/openai/v1", Dialect.AZURE, 0, None, tuple(options.items()))
    return client_of(replace(account, **values))


def client_of(account: Account) -> AzureProvider:
    """Kept, as the worker keeps it."""
    _clients.append(AzureProvider(account, timedelta(seconds=30), STATUSES))
    return _clients[-1]


def switch(azure: Deploying, **switches: Any) -> None:
    azure.sandbox.http.post("/sandbox/azure", json=switches).raise_for_status()
