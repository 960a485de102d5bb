"""What training costs at each provider: the list prices in `prices.json`, and the operator's own before them."""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from shared.providers.price_settings import OwnPrice
from shared.settings import get_settings

Currency = Literal["USD"]  # budgets are in USD: an amount in another currency could not be compared with them
ANY_BASE = "*"
_BILLIONS = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:[.p]\d+)?)b(?![a-z0-9])", re.IGNORECASE)


class Price(msgspec.Struct, frozen=True, kw_only=True, rename={"since": "from"}):
    """A price of training: per million tokens of all epochs, or per hour. Valid from `since` to before `until`.

    `base` is a base model's name, or `*` for all of this provider; `billions` then narrows them to those of so many
    parameters, from the first number to below the second. `auto_epochs`: what the provider takes where nothing is
    said; None where it chooses by the number of examples. `confidence`: `published` by the provider, `reported` by
    others, or `own`: the operator's setting.
    """

    provider: str
    base: str
    methods: list[str]
    since: date
    until: date | None = None
    currency: Currency
    per_million_tokens: Decimal | None = None
    per_hour: Decimal | None = None
    billions: tuple[float, float] | None = None
    auto_epochs: int | None = None
    as_of: date | None = None
    source: str = "TUNERY_PRICES"
    confidence: Literal["published", "reported", "own"] = "own"


@cache
def list_prices() -> list[Price]:
    return msgspec.json.decode(Path(__file__).with_name("prices.json").read_bytes(), type=list[Price])


def own_prices() -> Sequence[Price]:
    """The operator's prices, from the settings."""
    return _as_prices(get_settings().prices)


@cache
def _as_prices(stated: tuple[OwnPrice, ...]) -> Sequence[Price]:
    taken = {"provider", "base", "per_million_tokens", "auto_epochs"}
    return [
        Price(**each.model_dump(include=taken), methods=list(each.methods), since=date.min, currency="USD")
        for each in stated
        if each.per_million_tokens is not None
    ]


def price_of(provider: str, base: str, method: str, on: date, own: Sequence[Price] = ()) -> Price | None:
    """Return the price that is valid on a day; None if there is none.

    A price of `own` goes before a list price, one of this base before one of many, and the newest before others.
    """
    for table in (own, list_prices()):
        valid = [price for price in table if _applies(price, provider, base, method, on)]
        if valid:
            return max(valid, key=lambda each: (each.base != ANY_BASE, each.billions is not None, each.since))
    return None


def _applies(price: Price, provider: str, base: str, method: str, on: date) -> bool:
    is_meant = price.provider == provider and method in price.methods and price.base in (base, ANY_BASE)
    if not is_meant or on < price.since or (price.until is not None and on >= price.until):
        return False
    if price.billions is None:
        return True
    size, (least, below) = billions_of(base), price.billions
    return size is not None and least <= size < below


def billions_of(base: str) -> float | None:
    """How many billions of parameters a model has, by its name (`Qwen3-8B`: 8, `Mixtral-8x7B`: 56); None if unsaid."""
    found = _BILLIONS.search(base)
    if found is None:
        return None
    return int(found[1] or 1) * float(found[2].lower().replace("p", "."))
