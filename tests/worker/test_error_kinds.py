"""Which errors of a provider are about the number of calls, which about the number of jobs, and which are answers."""

from datetime import timedelta

import pytest

from worker.jobs.actions.failures import is_answer
from worker.jobs.admission import is_full
from worker.jobs.backpressure import is_slow_down
from worker.providers.errors import ProviderError, refusal
from worker.runtime.errors import StepError

FULL = "You have reached the maximum of 3 active jobs: org-1 has reached the maximum of 3"
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("error", "about_jobs", "about_calls"),
    [
        (refusal(429, "slow down", "rate_limit_exceeded"), False, True),
        (refusal(429, "slow down", None), False, True),
        (refusal(429, "no more today", "daily_rate_limit_exceeded"), True, False),
        (refusal(429, "too many jobs", "active_job_limit_exceeded"), True, False),
        (refusal(429, FULL, "rate_limit_exceeded"), True, False),
        (refusal(400, FULL, "daily_rate_limit_exceeded"), False, False),
        (refusal(429, "you have no money left", "insufficient_quota"), False, False),
        (refusal(503, "busy", None, retry_after=MINUTE), False, True),
        (refusal(503, "busy", None), False, False),
        (refusal(500, "broken", None, retry_after=MINUTE), False, False),
        (refusal(401, "wrong key", "invalid_api_key"), False, False),
        (refusal(404, "not found", None), False, False),
        (ProviderError("no answer", "unreachable", retryable=True, effect_unknown=True), False, False),
    ],
    ids=lambda value: f"{value.status} {value.code}" if isinstance(value, ProviderError) else str(value),
)
def test_what_an_error_is_about(error: ProviderError, about_jobs: bool, about_calls: bool) -> None:
    assert (is_full(error), is_slow_down(error)) == (about_jobs, about_calls)
    assert is_answer(error) is about_calls


def test_our_own_storage_that_fails_is_no_word_of_the_provider() -> None:
    error = StepError("our storage cannot be reached", "storage_unavailable", retryable=True, retry_after=MINUTE)
    assert not is_slow_down(error)
    assert not is_answer(error)
