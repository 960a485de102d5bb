"""The price table by provider, base model, method and day, and the reason for each estimate without an amount."""

from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO

import pytest

from shared.datasets.pricing.estimate import estimate
from shared.datasets.pricing.table import Price, billions_of, list_prices, price_of
from shared.datasets.validation.check import check
from shared.datasets.validation.findings.report import Report
from shared.datasets.validation.rules.limits import rules

GPT_4_1, NANO, O4_MINI = "gpt-4.1-2025-04-14", "gpt-4.1-nano-2025-04-14", "o4-mini-2025-04-16"
DAY, YEARS_AGO = date(2026, 1, 1), date(2020, 1, 1)
CHAT = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
PREFERENCE = (
    b'{"input": {"messages": [{"role": "user", "content": "a"}]}, '
    b'"preferred_output": [{"role": "assistant", "content": "b"}], '
    b'"non_preferred_output": [{"role": "assistant", "content": "c"}]}\n'
)


def report(line: bytes = CHAT, *, tokens: bool = True) -> Report:
    return check(BytesIO(line * 10), tokens=tokens)


@pytest.mark.parametrize(
    ("provider", "base", "method", "on", "per_million"),
    [
        ("openai", GPT_4_1, "supervised", DAY, "25.00"),
        ("openai", GPT_4_1, "dpo", DAY, "25.00"),
        ("openai", GPT_4_1, "reinforcement", DAY, None),
        ("openai", GPT_4_1, "", DAY, None),
        ("openai", GPT_4_1, "supervised", YEARS_AGO, None),
        ("openai", GPT_4_1, "supervised", date(2025, 4, 13), None),
        ("openai", GPT_4_1, "supervised", date(2025, 4, 14), "25.00"),
        ("openai", NANO, "supervised", date(2026, 10, 22), "1.50"),
        ("openai", NANO, "supervised", date(2026, 10, 23), None),
        ("openai", "gpt-3.5-turbo-0125", "supervised", DAY, "8.00"),
        ("openai", "gpt-3.5-turbo-0125", "dpo", DAY, None),
        ("openai", "babbage-002", "supervised", DAY, "0.40"),
        ("openai", "gpt-4.1", "supervised", DAY, None),
        ("openai", "llama-3", "supervised", DAY, None),
        ("azure", GPT_4_1, "supervised", DAY, None),
        ("OpenAI", GPT_4_1, "supervised", DAY, None),
    ],
)
def test_a_price_is_found_by_provider_snapshot_method_and_day(
    provider: str, base: str, method: str, on: date, per_million: str | None
) -> None:
    price = price_of(provider, base, method, on)
    assert (price and price.per_million_tokens) == (None if per_million is None else Decimal(per_million))


def test_reinforcement_has_a_price_per_hour() -> None:
    price = price_of("openai", O4_MINI, "reinforcement", DAY)
    assert price is not None
    assert (price.per_hour, price.per_million_tokens) == (Decimal(100), None)


@pytest.mark.parametrize("price", list_prices(), ids=str)
def test_each_row_of_the_table_is_a_price_of_a_known_model_and_applies_to_its_days(price: Price) -> None:
    base, model = price.base, rules().model(price.base)
    if price.billions is None:
        assert model is not None
        assert model.name == base
    else:
        base = f"org/model-{price.billions[0]:g}b"
    assert price.as_of is not None
    assert price.confidence in {"published", "reported"}
    assert set(price.methods) <= set(rules().methods)
    assert (price.per_million_tokens is None) != (price.per_hour is None)
    assert (price.per_million_tokens or price.per_hour or 0) > 0
    for method in price.methods:
        assert price_of(price.provider, base, method, price.since) == price
        if price.until is not None:
            assert price.since < price.until
            assert price_of(price.provider, base, method, price.until - timedelta(days=1)) == price


@pytest.mark.parametrize(
    ("model", "method", "provider", "tokens", "why"),
    [
        ("llama-3", None, "openai", True, "training this model with the method supervised at openai"),
        ("gpt-4.1", None, "azure", True, f"training {GPT_4_1} with the method supervised at azure"),
        ("gpt-4.1", "reinforcement", "openai", True, f"training {GPT_4_1} with the method reinforcement at openai"),
        ("o4-mini", "reinforcement", "openai", True, "billed by time, 100.00 USD per hour"),
        ("gpt-4.1", None, "openai", False, "The tokens were not counted"),
        ("gpt-3.5-turbo", None, "openai", True, "counted in o200k_base, but gpt-3.5-turbo-0125 uses cl100k_base"),
    ],
)
def test_an_estimate_without_an_amount_says_why(
    model: str, method: str | None, provider: str, tokens: bool, why: str
) -> None:
    found = estimate(report(tokens=tokens), model, method, provider=provider, on=DAY)
    assert found.amount is None
    assert why in str(found.reason)


@pytest.mark.parametrize(
    ("line", "model", "epochs", "assumed"),
    [
        (CHAT, "gpt-4.1", None, {"chooses the epochs", "truncated after 65,536 tokens"}),
        (CHAT, "gpt-4.1", "auto", {"chooses the epochs", "truncated after 65,536 tokens"}),
        (CHAT, "gpt-4.1", 2, {"truncated after 65,536 tokens"}),
        (CHAT, "llama-3", 2, {"own tokenizer"}),
        (PREFERENCE, "llama-3", 2, {"own tokenizer", "both outputs are billed"}),
    ],
)
def test_an_estimate_names_its_assumptions(
    line: bytes, model: str, epochs: int | str | None, assumed: set[str]
) -> None:
    found = estimate(report(line), model, n_epochs=epochs, on=DAY).assumptions
    always = {"list prices", "validation file costs nothing"}
    assert len(found) == len(always | assumed)
    assert all(any(words in sentence for sentence in found) for words in always | assumed)


@pytest.mark.parametrize(
    ("line", "method"),
    [(CHAT, "supervised"), (PREFERENCE, "dpo"), (b'{"prompt": "a", "completion": "b"}\n', "supervised")],
)
def test_the_format_of_the_file_decides_the_method_that_is_priced(line: bytes, method: str) -> None:
    assert estimate(report(line), "gpt-4.1", on=DAY).method == method


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Qwen/Qwen3-8B", 8),
        ("meta-llama/Llama-3.3-70B-Instruct", 70),
        ("accounts/fireworks/models/llama-v3p1-8b-instruct", 8),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 56),
        ("Qwen/Qwen3-30B-A3B", 30),
        ("Qwen3-0.6B", 0.6),
        ("qwen3-0p6b", 0.6),
        ("unsloth/gpt-oss-20b-BF16", 20),
        ("gpt-4.1-2025-04-14", None),
        ("abc8bcd", None),
        ("deepseek-v3", None),
    ],
)
def test_the_size_of_a_model_is_read_from_its_name(name: str, billions: float | None) -> None:
    assert billions_of(name) == billions


def test_a_price_by_size_counts_where_none_names_the_base() -> None:
    small, large = (price_of("nebius", name, "supervised", DAY) for name in ("Qwen3-8B", "Qwen3-32B"))
    assert small is not None
    assert large is not None
    assert (small.per_million_tokens, large.per_million_tokens) == (Decimal("0.40"), Decimal("2.80"))
    assert price_of("nebius", "a-model-without-a-size", "supervised", DAY) is None


def test_an_own_price_goes_before_the_list_and_one_of_a_base_before_one_of_all() -> None:
    def own(base: str, amount: str) -> Price:
        values = {"provider": "openai", "methods": ["supervised"], "since": date.min, "currency": "USD"}
        return Price(base=base, per_million_tokens=Decimal(amount), **values)  # type: ignore[arg-type]

    everything, one = own("*", "1"), own(GPT_4_1, "2")
    assert price_of("openai", GPT_4_1, "supervised", DAY, [everything]) is everything
    assert price_of("openai", GPT_4_1, "supervised", DAY, [one, everything]) is one
    assert price_of("openai", "my-model", "supervised", DAY, [one, everything]) is everything
    listed = price_of("openai", GPT_4_1, "dpo", DAY, [everything])
    assert listed is not None
    assert listed.confidence == "published"


def test_an_estimate_takes_the_epochs_that_the_provider_takes_by_itself() -> None:
    found = estimate(report(), "Qwen/Qwen3-8B", provider="together", on=DAY)
    assert (found.epochs, found.price_confidence) == (1, "reported")
    assert any("what others report" in sentence for sentence in found.assumptions)
    assert any("default number of epochs" in sentence for sentence in found.assumptions)
    assert found.amount == Decimal("0.48") * (found.tokens or 0) / 1_000_000
