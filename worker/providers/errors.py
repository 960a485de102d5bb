"""Every way in which a provider can fail us, as one exception."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, OpenAIError

from worker.net.retry_after import retry_after
from worker.providers import sanitize
from worker.providers.hints import ABOUT_MONEY, with_hint
from worker.runtime import heartbeat
from worker.runtime.errors import StepError

_BETTER_SOON = {"file_not_ready"}
_SURELY_WITHOUT_EFFECT = {400, 401, 403, 404, 405, 413, 415, 422, 429, 501}
MESSAGE_LENGTH = 2000


class ProviderError(StepError):
    """What the provider said, or that it did not answer.

    `retryable`: the same call may succeed later, without anybody's doing or after the operator's.
    `effect_unknown`: the call may have done its work all the same.
    """

    def __init__(
        self,
        message: str,
        code: str,
        *,
        retryable: bool,
        effect_unknown: bool = False,
        status: int | None = None,
        param: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(sanitize.text(message), sanitize.text(code), retryable=retryable, retry_after=retry_after)
        self.effect_unknown = effect_unknown
        self.status = status
        self.param = sanitize.some_text(param)

    def without(self, secret: str) -> "ProviderError":
        """The same, said without this word."""
        return ProviderError(
            self.message.replace(secret, "…"),
            self.code.replace(secret, "…"),
            retryable=self.retryable,
            effect_unknown=self.effect_unknown,
            status=self.status,
            param=self.param and self.param.replace(secret, "…"),
            retry_after=self.retry_after,
        )


@contextmanager
def provider_errors(api_key: str) -> Iterator[None]:
    """Turn whatever the SDK or the network raises into a `ProviderError`, which does not tell the key."""
    heartbeat.beat()
    try:
        with _translated():
            yield
    except ProviderError as error:
        if api_key not in f"{error.message}{error.param}{error.code}":
            raise
        raise error.without(api_key) from None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except APIStatusError as error:
        raise _refused(error) from error
    except (APIConnectionError, httpx2.HTTPError) as error:
        reason = error.__cause__ or error
        was_sent = not isinstance(reason, httpx2.ConnectError | httpx2.ConnectTimeout)
        sentence = f"the provider could not be reached: {type(reason).__name__}: {reason}"
        raise _unknown(sentence, was_sent=was_sent) from error
    except (APIError, OpenAIError, ValueError, AttributeError, TypeError) as error:  # what the SDK makes of odd bodies
        raise _unknown(f"the provider's answer could not be read: {error}") from error


def _unknown(message: str, was_sent: bool = True) -> ProviderError:
    return ProviderError(message[:MESSAGE_LENGTH], "provider_unavailable", retryable=True, effect_unknown=was_sent)


def _refused(error: APIStatusError) -> ProviderError:
    status = error.status_code
    code = str(error.code or f"provider_error_{status}")
    return ProviderError(
        with_hint(code, _sentence(error)[:MESSAGE_LENGTH]),
        code,
        retryable=_may_be_better_later(status, code),
        effect_unknown=status not in _SURELY_WITHOUT_EFFECT,
        status=status,
        param=error.param,
        retry_after=retry_after(error.response.headers.get("retry-after", "")),
    )


def _may_be_better_later(status: int, code: str) -> bool:
    if code in ABOUT_MONEY:
        return False
    return status in {401, 408, 409, 429} or (status >= 500 and status != 501) or code in _BETTER_SOON


def _sentence(error: APIStatusError) -> str:
    """The provider's own words; the SDK's, where the body was not OpenAI's envelope."""
    if isinstance(error.body, dict) and isinstance(error.body.get("message"), str):
        return str(error.body["message"])
    return error.message
