"""Turns what OpenAI's SDK or the network raises into `ProviderError`."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, OpenAIError

from worker.net.call_limits import AnswerTooLarge
from worker.net.retry_after import retry_after
from worker.providers.errors import ProviderError, no_answer, refusal, too_large, too_slow
from worker.providers.rest.pages import ListTooSlow
from worker.runtime import heartbeat


@contextmanager
def provider_errors(api_key: str, tokens: Callable[[], Iterable[str]] = tuple) -> Iterator[None]:
    """Raise `ProviderError` for every failure inside the block, with the account's key and `tokens` removed from its
    texts."""
    heartbeat.beat()
    try:
        with _translated():
            yield
    except ProviderError as error:
        told = [secret for secret in (api_key, *tokens()) if secret in f"{error.message}{error.param}{error.code}"]
        if not told:
            raise
        for secret in told:
            error = error.without(secret)
        raise error from None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except APIStatusError as error:
        raise _refusal(error) from error
    except AnswerTooLarge as error:
        raise too_large(f"the provider's answer is not read: {error}", retryable=error.retryable) from error
    except ListTooSlow as error:
        raise too_slow(f"the provider is too slow: {error}") from error
    except (APIConnectionError, httpx2.HTTPError) as error:
        reason = error.__cause__ or error if isinstance(error, APIConnectionError) else error
        if isinstance(reason, ProviderError):  # what signs a request has refused it
            raise reason from None
        if isinstance(reason, httpx2.ReadTimeout | httpx2.WriteTimeout):
            raise too_slow(f"the provider is too slow: {reason}") from error
        was_sent = not isinstance(reason, httpx2.ConnectError | httpx2.ConnectTimeout)
        sentence = f"the provider could not be reached: {type(reason).__name__}: {reason}"
        raise no_answer(sentence, was_sent=was_sent) from error
    except (APIError, OpenAIError, ValueError, AttributeError, TypeError, RecursionError) as error:
        # The SDK raises any of these for a body that is not what it expects; `parsing` raises ValueError.
        raise no_answer(f"the provider's answer could not be read: {error}") from error


def _refusal(error: APIStatusError) -> ProviderError:
    if (invalid := _invalid_field(error)) is not None:
        return invalid
    header = error.response.headers.get("retry-after", "")
    code = str(error.code) if error.code else None
    return refusal(error.status_code, _message(error), code, param=error.param, retry_after=retry_after(header))


def _invalid_field(error: APIStatusError) -> ProviderError | None:
    """A refusal as pydantic writes it: `{"detail": [{"loc": ["body", "model"], "msg": …}]}`. None for another body."""
    details = error.body.get("detail") if isinstance(error.body, dict) else None
    first = details[0] if isinstance(details, list) and details else None
    if not isinstance(first, dict) or not isinstance(first.get("loc"), list) or not first["loc"]:
        return None
    param = str(first["loc"][-1])
    code = "model_not_available" if param == "model" else "invalid_value"
    return refusal(error.status_code, f"{param}: {first.get('msg')}", code, param=param)


def _message(error: APIStatusError) -> str:
    """The provider's sentence; the SDK's own if the body is not OpenAI's error envelope."""
    if isinstance(error.body, dict) and isinstance(error.body.get("message"), str):
        return str(error.body["message"])
    return error.message
