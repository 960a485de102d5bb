"""Times each call of a provider's client, by the account's owner, the method and how it ended; a trace shows it too."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import isgeneratorfunction
from typing import Any, cast

from shared.metrics.instruments import PROVIDER_CALL_SECONDS, owner
from shared.projects.credentials import Account
from shared.telemetry import spans
from worker.providers.errors import ProviderError
from worker.providers.protocol import Provider


class _Measured:
    """A client whose methods are timed. One that yields its answer is timed until the last of it has been read."""

    def __init__(self, client: Provider, account: Account) -> None:
        self._client = client
        self._labels = owner(account.project_id), account.dialect

    def __getattr__(self, verb: str) -> Any:
        found = getattr(self._client, verb)
        if not verb.startswith("_") and callable(found):
            found = self._timed(verb, found)
            setattr(self, verb, found)  # the next call finds it without coming here
        return found

    def _timed(self, verb: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if isgeneratorfunction(method):
                return self._read(verb, method(*arguments, **options))
            with self._noted(verb):
                return method(*arguments, **options)

        return call

    def _read(self, verb: str, pieces: Iterator[Any]) -> Iterator[Any]:
        with self._noted(verb):
            yield from pieces

    @contextmanager
    def _noted(self, verb: str) -> Iterator[None]:
        began, status = time.monotonic(), "error"
        with spans.call(f"{self._labels[1]} {verb}") as span:
            try:
                yield
                status = "ok"
            except GeneratorExit:  # the reader had enough
                status = "ok"
                raise
            except ProviderError as error:
                status = str(error.status or "no answer")
                raise
            finally:
                span["tunery.status"] = status
                PROVIDER_CALL_SECONDS.labels(*self._labels, verb, status).observe(time.monotonic() - began)


def measured(client: Provider, account: Account) -> Provider:
    return cast(Provider, _Measured(client, account))
