"""Converts exact amounts of money to text and to cents, and back."""

from decimal import Decimal

from shared.budgets.models import CURRENCY


def money(amount: Decimal, currency: str = CURRENCY) -> str:
    """`12.5` → `12.50 USD`."""
    return f"{text_of(amount)} {currency}"


def text_of(amount: Decimal) -> str:
    """`3` → `3.00`, `0.0042000` → `0.0042`: all significant digits, at least two decimals, never an exponent."""
    whole, _, rest = f"{amount:f}".partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


def of_cents(cents: int) -> Decimal:
    return Decimal(cents) / 100


def cents_of(amount: Decimal) -> int:
    """Convert the amount of a limit or an alert, which is always in whole cents."""
    return int(amount * 100)
