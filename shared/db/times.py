"""Aware UTC times, and Unix seconds as OpenAI's wire writes them."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainSerializer


def utc_now() -> datetime:
    return datetime.now(UTC)


def epoch(time: datetime) -> int:
    """Return whole Unix seconds; fractions are cut off, as on OpenAI's wire."""
    return int(time.timestamp())


Moment = Annotated[datetime, PlainSerializer(epoch, return_type=int)]  # a time that is Unix seconds on the wire


def from_epoch(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
