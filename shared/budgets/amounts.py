"""Amounts of money as texts and as cents: exact, whichever way."""

from decimal import Decimal

from shared.budgets.models import CURRENCY


def in_words(amount: Decimal, currency: str = CURRENCY) -> str:
    """`12.50 USD`."""
    return f"{text_of(amount)} {currency}"


def text_of(amount: Decimal) -> str:
    """`3` → `3.00`, `0.0042000` → `0.0042`: all digits that say something, and never an exponent."""
    whole, _, rest = f"{amount:f}".partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


def of_cents(cents: int) -> Decimal:
    return Decimal(cents) / 100


def cents_of(amount: Decimal) -> int:
    """What a limit or an alert was set to: those have whole cents."""
    return int(amount * 100)
