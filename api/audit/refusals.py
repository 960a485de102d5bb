"""Keeps refusals in the audit: each one singly, unless somebody makes so many that they are only counted."""

import asyncio
from collections import Counter
from contextvars import Context

import anyio
import anyio.to_thread
import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.audit.models import AuditLog
from shared.database import transaction
from shared.db.ids import new_id
from shared.db.times import utc_now

log = structlog.get_logger(__name__)
SINGLY = 10  # of a kind, in a minute
SINGLY_IN_ALL = 6000
KINDS = 1000
MINUTE = 60


class Refusals:
    """What of this minute has been written, and what is held back with its count until the minute (`period`, in
    seconds) is over, whether or not more comes then."""

    def __init__(self, period: float = MINUTE) -> None:
        self._period = period
        self._end: asyncio.Task[None] | None = None
        self._written: Counter[tuple[object, ...]] = Counter()
        self._held: dict[tuple[object, ...], AuditLog] = {}
        self._ends_at = 0.0

    async def note(self, entry: AuditLog) -> None:
        """Written before it is answered; or counted, with those that are alike but for the object and the request."""
        if anyio.current_time() >= self._ends_at:
            await self.flush()
            self._ends_at = anyio.current_time() + self._period
        kind = (entry.api_key_id or entry.address, entry.type, entry.details.get("attempted"), *_outcome(entry))
        if self._written[kind] < SINGLY and self._written.total() < SINGLY_IN_ALL:
            self._written[kind] += 1
            await self._write([entry])
        elif kind in self._held or len(self._held) < KINDS:
            self._hold(kind, entry)
        else:
            self._hold((entry.type, *_outcome(entry)), entry)

    def _hold(self, kind: tuple[object, ...], entry: AuditLog) -> None:
        if not self._held:  # of nobody's request: it is written when that has long been answered
            self._end = asyncio.create_task(self._flush_at(self._ends_at), context=Context())
        first = self._held.setdefault(kind, entry)
        if first is not entry:
            first.count += 1
            first.resource_id = None

    async def _flush_at(self, time: float) -> None:
        await anyio.sleep_until(time)
        await self.flush()

    async def close(self) -> None:
        """Before the process ends."""
        if self._end is not None:
            self._end.cancel()
        await self.flush()

    async def flush(self) -> None:
        """Write what was only counted."""
        held, self._held = list(self._held.values()), {}
        for entry in held:  # it is told as of now: an export that goes on from its last id must not have passed it
            entry.id, entry.created_at = new_id(AuditLog.id_prefix), utc_now()
        self._written.clear()
        if held:
            await self._write(held)

    async def _write(self, entries: list[AuditLog]) -> None:
        try:
            await anyio.to_thread.run_sync(_add, entries)
        except SQLAlchemyError as error:
            lost = [entry.model_dump(exclude={"created_at"}) for entry in entries]
            log.error("refusals cannot be written to the audit", reason=str(error), entries=lost)


def _outcome(entry: AuditLog) -> tuple[object, ...]:
    return entry.details.get("status"), entry.details.get("error_code")


def _add(entries: list[AuditLog]) -> None:
    with transaction() as session:
        session.add_all(entries)
