"""The HTTP clients of accounts at providers, for chats."""

from collections import OrderedDict
from urllib.parse import urlsplit

import httpx2

from api.chat.concurrency import slots
from shared.projects.credentials import Account
from shared.security.egress import strangers_async_transport
from shared.security.guarded_network import AsyncGuardedBackend, install

MAX_KEPT_CLIENTS = 256
CONNECT_TIMEOUT_SECONDS = 5
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=20)  # `slots` bounds the connections
_clients: OrderedDict[tuple[str, str], httpx2.AsyncClient] = OrderedDict()


def owner_of(account: Account) -> str:
    """The account's name among the owners of `slots`."""
    return account.credential_id or "deployment"


async def client_of(account: Account) -> httpx2.AsyncClient:
    """One for each account and scheme, kept. The key goes with each request, so that a new one counts at once."""
    key = owner_of(account), urlsplit(account.base_url).scheme
    if key not in _clients:
        _clients[key] = _new_client(account)
        await _close_the_idlest()
    _clients.move_to_end(key)
    return _clients[key]


async def _close_the_idlest() -> None:
    idle = [key for key in _clients if not slots.count(key[0])]
    for key in idle[: max(0, len(_clients) - MAX_KEPT_CLIENTS)]:
        await _clients.pop(key).aclose()


def _new_client(account: Account) -> httpx2.AsyncClient:
    """The deployment's provider is reached directly or through a proxy of the environment, others past the guard."""
    is_strangers = account.project_id is not None
    client = httpx2.AsyncClient(
        headers={"content-type": "application/json", "accept-encoding": "identity"},
        follow_redirects=False,
        limits=_LIMITS,
        transport=strangers_async_transport(account.base_url, _LIMITS, account.project_id) if is_strangers else None,
    )
    if not is_strangers:
        for transport in (client._transport, *client._mounts.values()):
            if transport is not None:
                install(AsyncGuardedBackend(None), transport)
    return client


async def close_clients() -> None:
    while _clients:
        await _clients.popitem()[1].aclose()
