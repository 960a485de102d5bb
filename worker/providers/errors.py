"""The error that a call to a provider raises, and the rules by which an HTTP answer becomes one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from worker.providers import sanitize
from worker.providers.hints import CODES_ABOUT_MONEY, with_hint
from worker.runtime.errors import StepError

_RETRYABLE_STATUSES = {401, 408, 409, 429}  # 401: the operator replaces a key while jobs wait
_RETRYABLE_CODES = {"file_not_ready"}
_STATUSES_WITHOUT_EFFECT = {400, 401, 403, 404, 405, 413, 415, 422, 429, 501}
MAX_MESSAGE_LENGTH = 2000
Found = TypeVar("Found")


class ProviderError(StepError):
    """A call that the provider refused, or did not answer in a way that can be read.

    `retryable`: the same call may succeed later, by itself or after the operator has acted. `effect_unknown`: the call
    may have done its work all the same. `status` is the HTTP status, None without an answer; `param` names the field of
    the request that was refused.
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
        """The same error with `secret` replaced by `…` in its texts."""
        return ProviderError(
            self.message.replace(secret, "…"),
            self.code.replace(secret, "…"),
            retryable=self.retryable,
            effect_unknown=self.effect_unknown,
            status=self.status,
            param=self.param and self.param.replace(secret, "…"),
            retry_after=self.retry_after,
        )


def refusal(
    status: int, message: str, code: str | None, *, param: str | None = None, retry_after: timedelta | None = None
) -> ProviderError:
    """The error for an HTTP answer of 3xx to 5xx. Its message gets a hint where the code is known."""
    code = code or f"provider_error_{status}"
    is_retryable = status in _RETRYABLE_STATUSES or (status >= 500 and status != 501) or code in _RETRYABLE_CODES
    return ProviderError(
        with_hint(code, message[:MAX_MESSAGE_LENGTH]),
        code,
        retryable=is_retryable and code not in CODES_ABOUT_MONEY,
        effect_unknown=status not in _STATUSES_WITHOUT_EFFECT,
        status=status,
        param=param,
        retry_after=retry_after,
    )


def no_answer(message: str, *, was_sent: bool = True) -> ProviderError:
    """The error for an answer that did not come, or cannot be read. `was_sent`: the request may have arrived."""
    return ProviderError(message[:MAX_MESSAGE_LENGTH], "provider_unavailable", retryable=True, effect_unknown=was_sent)


def too_slow(message: str) -> ProviderError:
    """The error for a call that did not end in time."""
    return ProviderError(message[:MAX_MESSAGE_LENGTH], "provider_timeout", retryable=True, effect_unknown=True)


def too_large(message: str, *, retryable: bool) -> ProviderError:
    """The error for an answer beyond a bound, which the message names."""
    message = message[:MAX_MESSAGE_LENGTH]
    return ProviderError(message, "provider_answer_too_large", retryable=retryable, effect_unknown=True)


def unsupported(sentence: str, param: str | None = None) -> ProviderError:
    """The error for a call, or a field of one, that this provider has not. Nothing was sent."""
    return ProviderError(sentence, "unsupported_by_provider", retryable=False, param=param)


def contradiction(sentence: str, param: str = "provider_options") -> ProviderError:
    """The error for options that exclude each other. Nothing was sent."""
    return ProviderError(f"provider_options: {sentence}", "invalid_value", retryable=False, param=param)


def not_ready(sentence: str, param: str | None = None) -> ProviderError:
    """The error for a file that cannot be used yet."""
    return ProviderError(sentence, "file_not_ready", retryable=True, param=param)


@contextmanager
def before_a_create() -> Iterator[None]:
    """Whatever fails inside the block, nothing has been created."""
    try:
        yield
    except ProviderError as error:
        error.effect_unknown = False
        raise


def unless_missing(call: Callable[[], Found]) -> Found | None:
    """What the call returns; None where the provider says that there is no such thing."""
    try:
        return call()
    except ProviderError as error:
        if error.status != 404:
            raise
        return None
