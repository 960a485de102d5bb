"""Calls to a provider that a project has named: only where its address may lead, judged at each call."""

import time

import httpx2

from shared.errors import Invalid
from shared.security.ssrf import target
from worker.net.dial import DIALLER, Undeliverable

LOOK_UP_SECONDS = 5.0


class JudgedTransport(httpx2.BaseTransport):
    """Resolves a name once, judges every address of the answer, and dials exactly a judged one; TLS is for the name."""

    def __init__(self) -> None:
        self._inner = httpx2.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            asked = target(str(request.url))
            addresses = DIALLER.judged(asked, time.monotonic() + LOOK_UP_SECONDS)
        except (Invalid, Undeliverable) as error:
            raise httpx2.ConnectError(str(error), request=request) from None
        request.extensions["sni_hostname"] = asked.host
        for address in addresses[:-1]:
            request.url = request.url.copy_with(host=str(address))
            try:
                return self._inner.handle_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        request.url = request.url.copy_with(host=str(addresses[-1]))
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()
