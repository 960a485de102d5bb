"""Every way in which a call can fail, as one exception that says what to do about it."""

import json
import traceback
from datetime import timedelta
from typing import Any

import pytest

from tests.providers.stand_ins import Far, client
from tests.servers import closed_port
from worker.providers.errors import ProviderError

KEY = "sk-sandbox"
STATUSES = {  # retryable, effect unknown
    301: (False, True),
    400: (False, False),
    401: (True, False),
    403: (False, False),
    404: (False, False),
    405: (False, False),
    408: (True, True),
    409: (True, True),
    413: (False, False),
    415: (False, False),
    422: (False, False),
    429: (True, False),
    500: (True, True),
    501: (False, False),
    502: (True, True),
    503: (True, True),
    504: (True, True),
}


def fail(far: Far, **fault: Any) -> ProviderError:
    """The error of a create to which this happens."""
    far.fault("create_job", **fault)
    with pytest.raises(ProviderError) as failure:
        far.job()
    return failure.value


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_says_whether_to_repeat_and_whether_it_may_have_had_effect(far: Far, status: int) -> None:
    error = fail(far, status=status, headers={"location": "/elsewhere"})
    assert (error.retryable, error.effect_unknown) == STATUSES[status]
    assert (error.status, error.code) == (status, f"provider_error_{status}")


def test_a_known_refusal_keeps_its_code_and_says_what_to_do(far: Far) -> None:
    for refused in far.stand_in.refusals.values():
        error = fail(far, **refused.fault)
        assert (error.code, error.retryable, error.effect_unknown) == (
            refused.code,
            refused.retryable,
            refused.effect_unknown,
        )
        assert refused.hint in error.message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0.5", 0.5), ("-3", 0), ("soon", None), ("", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_retry_after_is_read_in_seconds_or_as_a_date(far: Far, header: str, seconds: float | None) -> None:
    error = fail(far, status=429, headers={"retry-after": header})
    assert error.retry_after == (None if seconds is None else timedelta(seconds=seconds))


NO_ANSWERS: list[tuple[dict[str, Any], str]] = [
    ({"drop": "before"}, "provider_unavailable"),
    ({"drop": "after"}, "provider_unavailable"),
    ({"delay": 3}, "provider_timeout"),
    ({"delay_after": 3}, "provider_timeout"),
]


@pytest.mark.parametrize(("fault", "code"), NO_ANSWERS, ids=str)
def test_no_answer_may_have_had_effect(far: Far, fault: dict[str, Any], code: str) -> None:
    error = fail(far, **fault)
    assert (error.code, error.retryable, error.effect_unknown) == (code, True, True)
    assert error.status is None


def test_a_call_that_never_left_had_no_effect(far: Far) -> None:
    with pytest.raises(ProviderError) as failure:
        client(far.stand_in.dialect, f"http://127.0.0.1:{closed_port()}/v1").get_job("ftjob-any")
    error = failure.value
    assert (error.code, error.retryable, error.effect_unknown) == ("provider_unavailable", True, False)


def test_an_error_has_no_message_longer_than_a_column_should_hold(far: Far) -> None:
    error = fail(far, status=400, body={"error": {"message": "x" * 100_000, "code": "odd"}})
    assert 1000 < len(error.message) <= 2000


ODD_ERRORS: list[Any] = [
    {"error": {"message": "\0 no \ud800", "code": "\0", "param": "\udfff"}},
    {"error": {"message": None, "code": 5, "param": []}},
    {"error": "broken"},
    {"detail": "of another framework"},
    ["broken"],
]


@pytest.mark.parametrize("body", ODD_ERRORS, ids=str)
def test_an_odd_body_of_an_error_is_kept_as_far_as_it_can_be(far: Far, body: Any) -> None:
    error = fail(far, status=503, body=json.dumps(body), headers={"content-type": "application/json"})
    assert (error.status, error.retryable) == (503, True)
    assert "\0" not in f"{error.message}{error.code}{error.param}"


@pytest.mark.parametrize("body", [f"<p>{KEY}</p>", {"error": {"message": f"bad {KEY}", "code": KEY, "param": KEY}}])
def test_the_key_of_the_account_is_in_no_error(far: Far, body: Any) -> None:
    error = fail(far, status=400, body=body)
    printed = "".join(traceback.format_exception(error))
    assert KEY not in f"{error}{error!r}{error.message}{error.code}{error.param}{printed}"


def test_an_answer_with_200_that_holds_the_key_puts_it_in_no_error(far: Far) -> None:
    far.answer("get_job", {"id": None, "object": KEY, KEY: KEY})
    with pytest.raises(ProviderError) as failure:
        far.provider.get_job("ftjob-any")
    assert KEY not in "".join(traceback.format_exception(failure.value))
