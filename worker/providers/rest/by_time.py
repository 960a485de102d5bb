"""When things were made: what has no time counts as new, so that no search passes it over."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from worker.providers import sanitize
from worker.providers.protocol import ProviderJob

LATEST = datetime.max.replace(tzinfo=UTC)


def time_of(raw: dict[str, Any], field: str = "created_at") -> datetime:
    """To sort by."""
    return sanitize.moment(raw.get(field)) or LATEST


def is_since(made_at: datetime | None, time: datetime) -> bool:
    return made_at is None or made_at >= time


def newest_first(jobs: Iterable[ProviderJob]) -> list[ProviderJob]:
    return sorted(jobs, key=lambda job: job.created_at or LATEST, reverse=True)
