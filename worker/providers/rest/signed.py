"""Files at addresses that a provider has signed: whoever knows one may use it, so no error names it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import BinaryIO

import httpx2

from shared.projects.credentials import Account
from worker.net.call_limits import AnswerTooLarge
from worker.providers.errors import ProviderError, no_answer, refusal, too_large, too_slow
from worker.providers.rest.calls import limited_client
from worker.runtime import heartbeat

_REFUSALS = {400, 401, 403}  # an address that has expired is refused so
READ_CHUNK_BYTES = 256 << 10
MAX_REDIRECTS = 3
_ANSWERED = "the provider's storage has answered"


class SignedFiles:
    """The account's key is not sent: the address is the permission. Where an own account's may lead is guarded."""

    def __init__(self, account: Account, timeout: timedelta) -> None:
        self._client = limited_client(account, timeout)
        self._schemes = ("https",) if account.base_url.startswith("https:") else ("https", "http")

    def put(self, url: str, content: BinaryIO, size: int, headers: Mapping[str, str]) -> None:
        """Send `size` bytes; after a redirect again from the start.

        A refusal (`signed_address_refused`) is retryable: the next attempt has a new address.
        """
        start = content.tell()
        with _without_the_address():
            for _ in range(MAX_REDIRECTS + 1):
                content.seek(start)
                sent = {**headers, "content-length": str(size)}
                response = self._client.put(self._safe(url), content=content, headers=sent)
                if not response.has_redirect_location:
                    break
                url = str(response.url.join(response.headers["location"]))
        status = response.status_code
        if status in _REFUSALS:
            raise ProviderError(f"{_ANSWERED} {status}", "signed_address_refused", retryable=True, status=status)
        _check(response)

    def read(self, url: str) -> Iterator[bytes]:
        with _without_the_address():
            for _ in range(MAX_REDIRECTS + 1):
                with self._client.stream("GET", self._safe(url)) as response:
                    if response.has_redirect_location:
                        url = str(response.url.join(response.headers["location"]))
                        continue
                    _check(response)
                    for chunk in response.iter_bytes(READ_CHUNK_BYTES):
                        heartbeat.beat()
                        yield chunk
                    return
        _check(response)

    def _safe(self, url: str) -> httpx2.URL:
        """Raises `UnsupportedProtocol` for one that is less safe than the account's own address."""
        safe = httpx2.URL(url)
        if safe.scheme not in self._schemes:
            raise httpx2.UnsupportedProtocol("it is no https:// URL")
        return safe


def _check(response: httpx2.Response) -> None:
    if not response.is_success:
        raise refusal(response.status_code, f"{_ANSWERED} {response.status_code}", None)


@contextmanager
def _without_the_address() -> Iterator[None]:
    """Raise `ProviderError` for every failure inside the block. Texts of the HTTP client may have the address."""
    heartbeat.beat()
    try:
        yield
    except AnswerTooLarge as error:
        raise too_large(f"the file at the provider is not read: {error}", retryable=error.retryable) from None
    except httpx2.TimeoutException as error:
        was_sent = not isinstance(error, httpx2.ConnectTimeout)
        sentence = "the provider's storage is too slow"
        raise (too_slow(sentence) if was_sent else no_answer(sentence, was_sent=False)) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, TypeError, OSError) as error:
        was_sent = not isinstance(error, httpx2.ConnectError)
        sentence = f"the provider's storage could not be reached: {type(error).__name__}"
        raise no_answer(sentence, was_sent=was_sent) from None
