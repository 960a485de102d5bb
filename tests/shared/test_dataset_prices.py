"""What training will cost, from a report: exact, with its assumptions, and never a zero for what is not known."""

import json
from datetime import date
from decimal import Decimal
from io import BytesIO

import msgspec
import pytest

from shared.budgets.models import CURRENCY
from shared.datasets.pricing.estimate import Estimate, auto_epochs, estimate
from shared.datasets.pricing.table import Price, price_of
from shared.datasets.validation.check import check
from shared.datasets.validation.findings.report import Report

DAY = date(2026, 11, 22)


def report(examples: int = 100, model: str | None = None, tokens: bool = True) -> Report:
    lines = [
        json.dumps({"messages": [{"role": "user", "content": f"{n}"}, {"role": "assistant", "content": "hi"}]})
        for n in range(examples)
    ]
    return check(BytesIO("\n".join(lines).encode()), model=model, tokens=tokens)


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [(0, 3), (1, 25), (4, 25), (10, 10), (33, 3), (34, 3), (1000, 3), (8333, 3), (8334, 2), (25_001, 1), (10**6, 1)],
)
def test_epochs_follow_the_published_rule(examples: int, epochs: int) -> None:
    assert auto_epochs(examples) == epochs


def test_the_amount_is_exact() -> None:
    found = estimate(report(), "gpt-4o-mini", on=DAY)
    assert (found.tokens, found.epochs, found.billed_tokens) == (1300, 3, 3900)
    assert (found.amount, found.currency) == (Decimal("0.0117"), "USD")
    assert (found.reason, found.allowed, found.epochs_chosen_by) == (None, True, "auto")
    assert found.assumptions


@pytest.mark.parametrize(
    "tuned", ["ft:gpt-4.1-2025-04-14:acme::x", "gpt-4.1-2025-04-14.ft-0a1b", "gpt-4.1-2025-04-14.ft-0a1b-ours"]
)
def test_a_number_of_epochs_may_be_asked_for_a_model_that_is_tuned_again(tuned: str) -> None:
    found = estimate(report(), tuned, n_epochs=2, on=DAY)
    assert (found.base, found.amount, found.epochs_chosen_by) == ("gpt-4.1-2025-04-14", Decimal("0.065"), "request")


@pytest.mark.parametrize(
    ("model", "method", "why"),
    [
        ("llama-3", None, "No price is known"),
        ("gpt-3.5-turbo", None, "No price is known"),
        ("gpt-4o-mini", "reinforcement", "No price is known"),
    ],
)
def test_an_unknown_price_says_so(model: str, method: str | None, why: str) -> None:
    found = estimate(report(), model, method, on=DAY)
    assert found.amount is None
    assert why in str(found.reason)


def test_reinforcement_is_billed_by_time() -> None:
    found = estimate(report(), "o4-mini", "reinforcement", on=date(2026, 1, 1))
    assert found.amount is None
    assert "per hour" in str(found.reason)


def test_tokens_of_another_encoding_give_no_price() -> None:
    found = estimate(report(), "gpt-3.5-turbo", on=date(2026, 1, 1))
    assert (found.amount, found.tokens) == (None, None)
    assert "cl100k_base" in str(found.reason)
    assert estimate(report(model="gpt-3.5-turbo"), "gpt-3.5-turbo", on=date(2026, 1, 1)).amount is not None


def test_without_tokens_there_is_no_price() -> None:
    assert estimate(report(tokens=False), "gpt-4o-mini", on=DAY).amount is None


def test_another_provider_has_prices_of_its_own() -> None:
    assert estimate(report(), "gpt-4o-mini", provider="azure", on=DAY).amount is None


def test_a_price_holds_from_its_day_until_the_next() -> None:
    assert price_of("openai", "gpt-4.1-nano-2025-04-14", "supervised", date(2026, 10, 22)) is not None
    assert price_of("openai", "gpt-4.1-nano-2025-04-14", "supervised", date(2026, 10, 23)) is None
    assert price_of("openai", "gpt-4.1-nano-2025-04-14", "supervised", date(2025, 4, 13)) is None


def test_only_what_the_model_reads_is_billed() -> None:
    long = json.dumps(
        {"messages": [{"role": "user", "content": "word " * 70_000}, {"role": "assistant", "content": "a"}]}
    )
    found = estimate(check(BytesIO((long + "\n").encode() * 10)), "gpt-4o-mini", n_epochs=1, on=DAY)
    assert found.tokens == 655_360


def test_an_estimate_survives_json() -> None:
    found = estimate(report(), "gpt-4o-mini", on=DAY)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Estimate) == found


def test_a_price_in_another_currency_than_the_limits_is_no_price() -> None:
    price = {"provider": "acme", "base": "llama", "methods": ["supervised"], "from": "2026-01-01", "currency": "EUR"}
    with pytest.raises(msgspec.ValidationError, match="currency"):
        msgspec.convert(price, Price)
    assert msgspec.convert({**price, "currency": CURRENCY}, Price).currency == CURRENCY
