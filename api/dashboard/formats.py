"""How times, durations, money and numbers are written on the pages, in one place."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from shared.db.times import from_epoch, utc_now

NONE = "–"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£"}


def when(time: datetime | float | None) -> Markup | str:
    """Write a time (or Unix seconds) as how long ago it is; the exact time, in UTC, is in its title."""
    if time is None:
        return NONE
    at = time if isinstance(time, datetime) else from_epoch(time)
    exact, seconds = f"{at:%Y-%m-%d %H:%M:%S} UTC", (utc_now() - at).total_seconds()
    ago = f"{duration(seconds)} ago" if seconds >= 1 else f"in {duration(-seconds)}" if seconds <= -1 else "now"
    html = '<time datetime="{}" title="{}" data-ago>{}</time>'
    return Markup(html).format(f"{at:%Y-%m-%dT%H:%M:%SZ}", exact, ago)


def exact(time: datetime | float | None) -> str:
    """Write a time (or Unix seconds) as `2026-11-30 12:00:00 UTC`."""
    if time is None:
        return NONE
    return f"{time if isinstance(time, datetime) else from_epoch(time):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float | None) -> str:
    """Write seconds with their two largest units, such as `2 h 5 min`."""
    if seconds is None:
        return NONE
    rest = max(0, round(seconds))
    for (size, unit), (smaller, below) in pairwise(_UNITS):
        if rest >= size:
            less = rest % size // smaller
            return f"{rest // size} {unit}" + (f" {less} {below}" if less else "")
    return f"{rest} s"


def number(value: float | None, digits: int = 0) -> str:
    """Write a number with spaces between thousands, such as `12 345.6`."""
    return NONE if value is None else f"{value:,.{digits}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def significant(value: float | None) -> str:
    """Write a loss or a rate with four significant digits."""
    return NONE if value is None or not math.isfinite(value) else f"{value:.4g}"


def percent(share: float | None) -> str:
    """Write a share (0–1) as a percentage."""
    return NONE if share is None else f"{share * 100:.0f}\N{NARROW NO-BREAK SPACE}%"


def size(count: float | None) -> str:
    """Write bytes, such as `1.5 MiB`."""
    if count is None:
        return NONE
    power = min(int(math.log(count, 1024)), len(_BYTES) - 1) if count >= 1 else 0
    return f"{count / 1024**power:.{1 if power else 0}f}\N{NARROW NO-BREAK SPACE}{_BYTES[power]}"


def money(cost: Any, currency: str = "usd") -> str:
    """Write an amount, or an object with `amount` and `currency`: two digits, more below one cent."""
    amount, currency = _attribute(cost, "amount", cost), _attribute(cost, "currency", currency)
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        return NONE
    digits = 2 if value == 0 or abs(value) >= Decimal("0.01") else 6
    text = f"{abs(value):,.{digits}f}"
    sign, symbol = "-" if value < 0 else "", _SYMBOLS.get(str(currency).lower())
    return f"{sign}{symbol}{text}" if symbol else f"{sign}{text} {str(currency).upper()}"


def _attribute(of: Any, name: str, default: Any) -> Any:
    return of.get(name, default) if isinstance(of, Mapping) else getattr(of, name, default)


def words(code: Any) -> str:
    """Write a code, such as `validating_files`, as words."""
    return str(code).replace("_", " ")


FILTERS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (when, exact, duration, number, significant, percent, size, money, words)
}
