"""Each number of a provider says where it was published and when it was read there."""

from datetime import date
from typing import Any

import msgspec
import pytest

from shared.datasets.validation.rules.limits import RULES_FILE, Sourced, rules

TABLE: dict[str, Any] = msgspec.json.decode(RULES_FILE.read_bytes())
LIMITS = [(provider, key) for provider, limits in TABLE["providers"].items() for key in limits]


@pytest.mark.parametrize(("provider", "key"), LIMITS)
def test_each_limit_of_a_provider_has_a_source_and_a_date(provider: str, key: str) -> None:
    limit = msgspec.convert(TABLE["providers"][provider][key], Sourced)
    assert limit.source
    assert date(2026, 1, 1) < limit.as_of <= rules().checked_at
    assert msgspec.to_builtins(getattr(rules().limits(provider), key)) == limit.value


@pytest.mark.parametrize("table", ["models_from", "token_formula"])
def test_the_tables_of_models_and_tokens_have_a_source_and_a_date(table: str) -> None:
    assert TABLE[table]["source"]
    assert date.fromisoformat(TABLE[table]["as_of"]) <= rules().checked_at


def test_azure_takes_more_images_and_asks_for_a_byte_order_mark() -> None:
    openai, azure = rules().limits("openai"), rules().limits("azure")
    assert (openai.max_images_per_example, azure.max_images_per_example) == (10, 64)
    assert (openai.asks_for_bom, azure.asks_for_bom) == (False, True)
