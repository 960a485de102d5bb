"""Selects events, and deliveries by their events, so that an index finds those of a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import col

from shared.db.ids import first_id
from shared.db.times import from_epoch
from shared.webhooks.event_types import EventType
from shared.webhooks.models import MADE_WITH_EVENT, WebhookDelivery, WebhookEvent

CLOCK_SKEW_SECONDS = 60.0  # ids are made by the clocks of several processes


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Selects events by type, by the object they are about, and by time (Unix seconds, both bounds included)."""

    type: EventType | None = None
    object_id: str | None = None
    since: int | None = None
    until: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.type is not None:
            found.append(col(WebhookEvent.type) == self.type)
        if self.object_id is not None:
            found.append(col(WebhookEvent.object_id) == self.object_id)
        return found + made_between(self.since, self.until)

    def admits(self, type: str, object_id: str, created_at: datetime) -> bool:
        """Whether an event that has been read meets the conditions."""
        made = created_at.timestamp()
        return (
            self.type in {None, type}
            and self.object_id in {None, object_id}
            and (self.since is None or made >= self.since)
            and (self.until is None or made < self.until + 1)
        )


def made_between(since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    """Return conditions for events made between two times in Unix seconds; all of the second `until` is included.

    Ids begin with the time and are indexed, so the conditions on ids make the query fast; they allow for clock skew.
    """
    found = ids_between(col(WebhookEvent.id), since, until)
    if since is not None:
        found.append(col(WebhookEvent.created_at) >= from_epoch(since))
    if until is not None:
        found.append(col(WebhookEvent.created_at) < from_epoch(until + 1))
    return found


def ids_between(event_id: Any, since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if since is not None:
        earliest = from_epoch(max(since - CLOCK_SKEW_SECONDS, 0))
        found.append(event_id >= first_id(WebhookEvent.id_prefix, earliest))
    if until is not None:
        latest = from_epoch(until + 1 + CLOCK_SKEW_SECONDS)
        found.append(event_id < first_id(WebhookEvent.id_prefix, latest))
    return found


def delivery_ids(
    since: float | None, until: float | None
) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
    """Return two sets of conditions on deliveries' ids, which are in order of time and indexed. A delivery of an event
    made between two times meets the first one or, with `MADE_LATER`, the second, which is empty without `until`.

    No delivery is made before its event, and most are made with it, so that only the others may have any later id.
    """
    id: Any = col(WebhookDelivery.id)
    first: list[ColumnElement[bool]] = []
    if since is not None:
        earliest = from_epoch(max(since - 2 * CLOCK_SKEW_SECONDS, 0))
        first.append(id >= first_id(WebhookDelivery.id_prefix, earliest))
    if until is None:
        return first, []
    latest = from_epoch(until + 1 + CLOCK_SKEW_SECONDS) + MADE_WITH_EVENT
    end = first_id(WebhookDelivery.id_prefix, latest)
    return [*first, id < end], [id >= end]
