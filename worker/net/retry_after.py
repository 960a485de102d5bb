"""Reads the HTTP header `Retry-After`."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def retry_after(header: str) -> timedelta | None:
    """How long to wait, from seconds or an HTTP date; never negative. None if the header is neither."""
    try:
        if header[:1].isalpha():
            return max(timedelta(), parsedate_to_datetime(header) - datetime.now(UTC))
        return timedelta(seconds=max(0.0, float(header)))
    except (ValueError, OverflowError, TypeError):  # TypeError: a date without a time zone cannot be subtracted
        return None
