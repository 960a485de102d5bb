"""What an hour of a deployment costs: as the operator has set for the account or its provider, else the list price."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from shared.projects.models import Credential
from shared.settings import get_settings


class PricePerHour(msgspec.Struct, frozen=True, kw_only=True):
    """`confidence`: `published` by the provider, or `reported` by others."""

    provider: str
    per_hour: Decimal
    currency: Literal["USD"]
    as_of: date
    confidence: Literal["published", "reported"]
    source: str


@cache
def _listed() -> dict[str, PricePerHour]:
    content = Path(__file__).with_name("prices.json").read_bytes()
    return {each.provider: each for each in msgspec.json.decode(content, type=list[PricePerHour])}


def machine_of(options: Mapping[str, Any]) -> str | None:
    """Return the kind of machine that `provider_options` name, if they do: machines differ in price."""
    return options.get("accelerator") or options.get("hardware") or options.get("sku")


def price_per_hour(credential: Credential, options: Mapping[str, Any]) -> Decimal | None:
    """Return US dollars for all machines that `provider_options` may come to; None if the price of one is not known."""
    price = _price_of_one(credential, machine_of(options))
    replicas = max(1, options.get("min_replicas", 1), options.get("max_replicas", 1))
    return price * options.get("accelerators", 1) * replicas if price is not None else None


def _price_of_one(credential: Credential, machine: str | None) -> Decimal | None:
    own = get_settings().deployments.prices_per_hour
    for name in (credential.id, credential.provider):
        if (key := f"{name}/{machine}" if machine else name) in own:
            return own[key]
    listed = _listed().get(credential.provider) if machine is None else None
    return listed.per_hour if listed is not None else None
