"""The transport for calls to a provider whose address a project chose: it leads to permitted addresses only."""

from urllib.parse import urlsplit

import httpx2

from shared.security.guarded_network import GuardedBackend, install


def guarded_transport(base_url: str) -> httpx2.HTTPTransport:
    """For requests below `base_url`. Uses no proxy of the environment, which would connect without the guard."""
    transport = httpx2.HTTPTransport(trust_env=False)
    install(GuardedBackend(urlsplit(base_url).scheme), transport)
    return transport
