"""The name of a result file: the provider's, if a file of ours may have it."""

from typing import Any, cast

import pytest

from worker.jobs import fetch
from worker.providers.errors import ProviderError
from worker.providers.protocol import Provider


class Named:
    """A provider that gives its files this name, or raises this error."""

    def __init__(self, name: str | ProviderError) -> None:
        self.name = name

    def file_name(self, file_id: str) -> str:
        if isinstance(self.name, ProviderError):
            raise self.name
        return self.name


def name_of(name: str | ProviderError) -> str:
    provider: Any = Named(name)
    return fetch._name(cast(Provider, provider), "file-1")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("adapter.zip", "adapter.zip"),
        ("../../adapter.zip", "adapter.zip"),
        ("", "step_metrics.csv"),
        ("a" * 256, "step_metrics.csv"),
        ("line\nbreak", "step_metrics.csv"),
        (ProviderError("no such route", "not_found", retryable=False, status=404), "step_metrics.csv"),
    ],
)
def test_a_name_that_no_file_of_ours_may_have_is_replaced(given: str | ProviderError, kept: str) -> None:
    assert name_of(given) == kept


def test_a_name_that_could_not_be_asked_for_is_asked_for_again() -> None:
    with pytest.raises(ProviderError):
        name_of(ProviderError("it is busy", "rate_limit_exceeded", retryable=True, status=429))
