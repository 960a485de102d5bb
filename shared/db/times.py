"""Aware UTC times, and Unix seconds as OpenAI's wire writes them."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)


def epoch(time: datetime) -> int:
    """Return whole Unix seconds; fractions are cut off, as on OpenAI's wire."""
    return int(time.timestamp())


def from_epoch(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
