"""Money as text and as cents: exact, and readable."""

from decimal import Decimal

import pytest

from shared.budgets.amounts import cents_of, money, of_cents, text_of


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("3", "3.00"),
        ("3.1", "3.10"),
        ("12.50", "12.50"),
        ("0.0042000", "0.0042"),
        ("0.005", "0.005"),
        ("-1.5", "-1.50"),
        ("1E+3", "1000.00"),
        ("1E-7", "0.0000001"),
        ("100000000000.123456789", "100000000000.123456789"),
    ],
)
def test_text_has_all_digits_and_at_least_two_decimals(amount: str, text: str) -> None:
    assert text_of(Decimal(amount)) == text
    assert money(Decimal(amount)) == f"{text} USD"
    assert money(Decimal(amount), "EUR") == f"{text} EUR"


@pytest.mark.parametrize("cents", [0, 1, 99, 100, 12_345, 10**13])
def test_cents_come_back_exactly(cents: int) -> None:
    assert cents_of(of_cents(cents)) == cents
    assert text_of(of_cents(cents)) == f"{cents // 100}.{cents % 100:02}"
