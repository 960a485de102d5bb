"""Writes refused requests to the audit log: one entry each, or one counted entry for the rest of a flood."""

import asyncio
import re
from collections import Counter
from contextvars import Context

import anyio
import anyio.to_thread
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from shared.audit.actor import current_action
from shared.audit.models import REFUSED, AuditLog
from shared.audit.recording import in_order_of_chains
from shared.database import transaction
from shared.db.ids import new_id
from shared.db.times import utc_now
from shared.errors import ServiceError

log = structlog.get_logger(__name__)
MAX_ENTRIES_PER_KIND = 10  # in a period; more are counted
MAX_ENTRIES = 6000  # in a period, of all kinds
MAX_COUNTED_KINDS = 1000  # in memory; beyond it, callers are counted together
PERIOD_SECONDS = 60


ID = re.compile(r"(?!sk-)(?:[a-z_]+[-_][0-9a-z]{8,40}|rl-[a-z]+_[0-9a-z]{8,40})")


def note_one_of_several(session: Session, id: str, error: ServiceError) -> None:
    """Write the entry of one change that is refused, in a request for several that is not refused as a whole.

    Text that is not an id is left out: a caller may have put a secret there.
    """
    action = current_action.get()
    assert action is not None, "only a request for a change has refusals"
    actor = action.actor()
    details = {"status": error.status, "error_code": error.code, "attempted": next(iter(action.changes().values()))}
    session.add(AuditLog.by(actor, REFUSED, id if ID.fullmatch(id) else None, actor.project_id, details))


class Refusals:
    """Writes or counts the refusals of the current period; counted ones are written when the period ends."""

    def __init__(self, period_seconds: float = PERIOD_SECONDS) -> None:
        self._period_seconds = period_seconds
        self._flush_task: asyncio.Task[None] | None = None
        self._written: Counter[tuple[object, ...]] = Counter()
        self._counted: dict[tuple[object, ...], AuditLog] = {}
        self._ends_at = 0.0

    async def record(self, entry: AuditLog) -> None:
        """Write an entry, or count it with the others of the same caller, event type and error.

        Called before the request is answered, so that a caller who knows of a refusal finds it in the log.
        """
        if anyio.current_time() >= self._ends_at:
            await self.flush()
            self._ends_at = anyio.current_time() + self._period_seconds
        kind = (entry.api_key_id or entry.address, entry.type, entry.details.get("attempted"), *_outcome(entry))
        if self._written[kind] < MAX_ENTRIES_PER_KIND and self._written.total() < MAX_ENTRIES:
            self._written[kind] += 1
            await self._write([entry])
        elif kind in self._counted or len(self._counted) < MAX_COUNTED_KINDS:
            self._count(kind, entry)
        else:
            self._count((entry.type, *_outcome(entry)), entry)

    def _count(self, kind: tuple[object, ...], entry: AuditLog) -> None:
        if not self._counted:
            # An empty context: the entries belong to no single request, and this one ends before they are written.
            self._flush_task = asyncio.create_task(self._flush_at(self._ends_at), context=Context())
        first = self._counted.setdefault(kind, entry)
        if first is not entry:
            first.count += 1
            first.resource_id = None

    async def _flush_at(self, time: float) -> None:
        await anyio.sleep_until(time)
        await self.flush()

    async def close(self) -> None:
        """Write the counted entries before the process ends."""
        if self._flush_task is not None:
            self._flush_task.cancel()
        await self.flush()

    async def flush(self) -> None:
        """Write the counted entries and begin a new period."""
        counted, self._counted = list(self._counted.values()), {}
        for entry in counted:  # a new id: an export that continues from its last id may have passed the old one
            entry.id, entry.created_at = new_id(AuditLog.id_prefix), utc_now()
        self._written.clear()
        if counted:
            await self._write(counted)

    async def _write(self, entries: list[AuditLog]) -> None:
        try:
            await anyio.to_thread.run_sync(_add, entries)
        except SQLAlchemyError as error:
            lost = [entry.model_dump(exclude={"created_at"}) for entry in entries]
            log.error("refused requests cannot be written to the audit log", reason=str(error), entries=lost)


def _outcome(entry: AuditLog) -> tuple[object, ...]:
    return entry.details.get("status"), entry.details.get("error_code")


def _add(entries: list[AuditLog]) -> None:
    with transaction() as session:
        session.add_all(in_order_of_chains(entries))
