"""Estimates what a training will cost, from a dataset's report and the table of prices."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from shared.datasets.pricing.table import Currency, Price, price_of
from shared.datasets.validation.findings.report import Report
from shared.datasets.validation.rules.formats import PREFERENCE, REINFORCEMENT
from shared.datasets.validation.rules.limits import Model, rules

# The rule by which OpenAI chooses the number of epochs, as its cookbook publishes it (examples × epochs).
TARGET_EPOCHS, MAX_EPOCHS = 3, 25
MIN_TARGET_EXAMPLES, MAX_TARGET_EXAMPLES = 100, 25_000


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a job would cost. `amount` is exact under its assumptions; None if unknown, and `reason` says why.

    `tokens` counts one epoch, without what exceeds the model's limit per example; `billed_tokens` counts all epochs.
    `epochs_chosen_by` is `request`, or `auto` if the provider's rule applies. `allowed`: no budget forbids it.
    """

    provider: str
    model: str
    base: str | None
    method: str
    examples: int
    tokens: int | None
    epochs: int
    epochs_chosen_by: str
    billed_tokens: int | None
    amount: Decimal | None
    currency: Currency | None
    price_per_million_tokens: Decimal | None
    price_since: date | None
    price_as_of: date | None
    price_source: str | None
    price_confidence: str | None
    reason: str | None
    assumptions: list[str]
    allowed: bool = True


def auto_epochs(examples: int) -> int:
    """Return how many epochs the provider chooses: 3; up to 25 for few examples; down to 1 for very many."""
    if examples <= 0:
        return TARGET_EPOCHS
    if examples * TARGET_EPOCHS < MIN_TARGET_EXAMPLES:
        return min(MAX_EPOCHS, MIN_TARGET_EXAMPLES // examples)
    if examples * TARGET_EPOCHS > MAX_TARGET_EXAMPLES:
        return max(1, MAX_TARGET_EXAMPLES // examples)
    return TARGET_EPOCHS


def estimate(
    report: Report,
    model: str,
    method: str | None = None,
    n_epochs: int | str | None = None,
    *,
    provider: str | None = None,
    on: date | None = None,
    own: Sequence[Price] = (),
) -> Estimate:
    """Estimate the price of training `model` on a checked file.

    `n_epochs` is a number; `auto` or None leave the choice to the provider. `method` and `provider` default to those
    that fit the report, `on` to today (UTC). `own`: prices that go before the list's.
    """
    provider = provider or report.provider
    method = method or method_for(report.format)
    base = rules().model(model)
    price = price_of(provider, base.name if base else model, method, on or datetime.now(UTC).date(), own)
    epochs = n_epochs if isinstance(n_epochs, int) else _auto_epochs(price, report.examples)
    tokens = _tokens(report, base)
    billed = None if tokens is None else tokens * epochs
    amount = _amount(price, billed)
    return Estimate(
        provider=provider,
        model=model,
        base=base.name if base else None,
        method=method,
        examples=report.examples,
        tokens=tokens,
        epochs=epochs,
        epochs_chosen_by="request" if isinstance(n_epochs, int) else "auto",
        billed_tokens=billed,
        amount=amount,
        **_about(price),
        reason=None if amount is not None else _reason(report, base, price, method, provider),
        assumptions=_assumptions(report, base, price, n_epochs),
    )


def _about(price: Price | None) -> dict[str, Any]:
    return {
        "currency": price.currency if price else None,
        "price_per_million_tokens": price.per_million_tokens if price else None,
        "price_since": price.since if price else None,
        "price_as_of": price.as_of if price else None,
        "price_source": price.source if price else None,
        "price_confidence": price.confidence if price else None,
    }


def _auto_epochs(price: Price | None, examples: int) -> int:
    return price.auto_epochs if price and price.auto_epochs else auto_epochs(examples)


def method_for(format: str | None) -> str:
    """Return the method that a file of this format is for."""
    return {PREFERENCE: "dpo", REINFORCEMENT: "reinforcement"}.get(format or "", "supervised")


def _tokens(report: Report, base: Model | None) -> int | None:
    """Return the tokens of one epoch, each example cut at the model's limit; None if not counted in its encoding.

    Those of a model that is not in our table are counted in whichever encoding the report has.
    """
    counted = report.statistics.tokens
    if counted is None or (base is not None and base.encoding != report.encoding):
        return None
    if base is None:
        return counted.total
    cut = {truncation.limit: truncation.tokens for truncation in report.statistics.truncation}
    return counted.total - cut.get(base.example_tokens or 0, 0)


def _amount(price: Price | None, billed: int | None) -> Decimal | None:
    if price is None or price.per_million_tokens is None or billed is None:
        return None
    return price.per_million_tokens * billed / 1_000_000


def _reason(report: Report, base: Model | None, price: Price | None, method: str, provider: str) -> str:
    if price is None:
        name = base.name if base else "this model"
        return f"No price is known for training {name} with the method {method} at {provider} on this day"
    if price.per_hour is not None:
        return f"Training is billed by time, {price.per_hour} {price.currency} per hour, which a file cannot predict"
    if report.statistics.tokens is None or base is None:
        return "The tokens were not counted"
    return f"The tokens were counted in {report.encoding}, but {base.name} uses {base.encoding}: check the file for it"


def _price_sentence(price: Price | None) -> str:
    if price is not None and price.confidence == "own":
        return "The price is the operator's own; the provider's bill may differ"
    if price is not None and price.confidence == "reported":
        return f"The price is what others report ({price.source}); the provider's bill may differ"
    return "Prices are list prices; the provider's bill may differ"


def _assumptions(report: Report, base: Model | None, price: Price | None, n_epochs: int | str | None) -> list[str]:
    found = [_price_sentence(price), "A validation file costs nothing"]
    if base is None:
        found.append(f"The tokens are counted in {report.encoding}; the model's own tokenizer may count more or fewer")
    if not isinstance(n_epochs, int) and price is not None and price.auto_epochs is not None:
        found.append("The provider takes its default number of epochs; the job shows them once it runs")
    elif not isinstance(n_epochs, int):
        found.append("The provider chooses the epochs by its published rule; the job shows them once it runs")
    if base and base.example_tokens:
        found.append(f"Each example is truncated after {base.example_tokens:,} tokens")
    if report.format == PREFERENCE:
        found.append("The input and both outputs are billed; no provider publishes the rule for preference files")
    if report.statistics.images:
        found.append("Each image in high or automatic detail is counted as 1024 × 1024 pixels")
    if any("tool" in shape or "function" in shape for shape in report.statistics.shapes):
        found.append("Tools and tool calls are counted as their JSON text; no provider publishes the rule")
    return found
