"""What the tokens of questions and answers cost: the prices in `prices.json`, and the operator's own before them."""

from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
from sqlmodel import Session

from shared.datasets.validation.rules.limits import rules
from shared.jobs import tuned_models
from shared.settings import get_settings

ANY_BASE = "*"


class TokenPrice(msgspec.Struct, frozen=True, kw_only=True, rename={"since": "from"}):
    """US dollars per million tokens, from `since` to before `until`, of a base, or of what is tuned from it.

    `cached_input` is None where tokens from the provider's cache cost as others do. `confidence`: as of prices of
    training.
    """

    provider: str
    base: str
    is_tuned: bool
    since: date
    until: date | None = None
    currency: Literal["USD"]
    input: Decimal
    cached_input: Decimal | None = None
    output: Decimal
    as_of: date
    source: str
    confidence: Literal["published", "reported"]


class Rates(msgspec.Struct, frozen=True):
    """The base whose prices these are, and US dollars per million tokens."""

    base: str
    input: Decimal
    cached_input: Decimal
    output: Decimal

    def cost(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> Decimal:
        """`cached_tokens` are among `input_tokens`; more of them than these count as all."""
        cached = min(cached_tokens, input_tokens)
        amount = self.input * (input_tokens - cached) + self.cached_input * cached + self.output * output_tokens
        return amount / 1_000_000


@cache
def list_prices() -> list[TokenPrice]:
    return msgspec.json.decode(Path(__file__).with_name("prices.json").read_bytes(), type=list[TokenPrice])


def rates_of(session: Session, project_id: str, provider: str, model: str, on: date) -> Rates | None:
    """What a model of this name costs the project at a provider on a day; None if that is not known."""
    named = tuned_models.base_of(session, project_id, model)
    known = rules().model(named)
    base = known.name if known is not None else named
    return _own(provider, base) or _listed(provider, base, named != model, on)


def _own(provider: str, base: str) -> Rates | None:
    """That of this base goes before that of all."""
    for name in (base, ANY_BASE):
        for each in get_settings().prices:
            rates = each.input_per_million_tokens, each.output_per_million_tokens
            if (each.provider, each.base) == (provider, name) and rates[0] is not None and rates[1] is not None:
                cached = each.cached_input_per_million_tokens
                return Rates(base, rates[0], rates[0] if cached is None else cached, rates[1])
    return None


def _listed(provider: str, base: str, is_tuned: bool, on: date) -> Rates | None:
    """The newest that is valid on the day."""
    meant = (provider, base, is_tuned)
    of_base = (each for each in list_prices() if (each.provider, each.base, each.is_tuned) == meant)
    valid = [each for each in of_base if each.since <= on and (each.until is None or on < each.until)]
    found = max(valid, key=lambda each: each.since, default=None)
    if found is None:
        return None
    return Rates(base, found.input, found.input if found.cached_input is None else found.cached_input, found.output)
