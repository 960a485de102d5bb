"""Lists, exports and prunes the audit log."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, text
from sqlmodel import Session, col, delete, select, update

from shared.audit.models import MAY_PRUNE, PRUNED, AuditChain, AuditLog
from shared.audit.schemas import AuditLogPublic
from shared.db.ids import COMMIT_WINDOW, first_id
from shared.db.times import from_epoch, utc_now
from shared.errors import NotFound
from shared.projects.models import Project

EXPORT_BATCH_ROWS = 500
# For each chain, the position and the hash of the last entry before the first one that is kept.
_PRUNABLE = text(
    "select chain, coalesce(kept.chain_position - 1, entries), coalesce(kept.previous_hash, head.hash)"
    " from audit_chains head left join (select distinct on (1) coalesce(project_id, '') as chain, chain_position,"
    " previous_hash from audit_logs where id >= :first order by 1, 2) kept using (chain)"
    " where coalesce(kept.chain_position - 1, entries) > pruned"
)


@dataclass(frozen=True)
class Filter:
    """Conditions that an entry must meet; None is no condition. `since` (included) and `until` (excluded) are Unix
    seconds."""

    since: int | None = None
    until: int | None = None
    types: list[str] | None = None
    actors: list[str] | None = None
    projects: list[str] | None = None
    resources: list[str] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted = []
        if self.since is not None:
            wanted.append(col(AuditLog.id) >= _first(self.since))
        if self.until is not None:
            wanted.append(col(AuditLog.id) < _first(self.until))
        if self.types is not None:
            wanted.append(col(AuditLog.type).in_(self.types))
        if self.actors is not None:
            by_operator = col(AuditLog.actor).in_({"operator"} & set(self.actors))
            wanted.append(or_(col(AuditLog.api_key_id).in_(self.actors), by_operator))
        if self.projects is not None:
            wanted.append(col(AuditLog.project_id).in_(self.projects))
        if self.resources is not None:
            wanted.append(col(AuditLog.resource_id).in_(self.resources))
        return wanted


def _first(seconds: int) -> str:
    return first_id(AuditLog.id_prefix, from_epoch(seconds))


def list_logs(
    session: Session, wanted: Filter, *, after: str | None = None, before: str | None = None, limit: int
) -> list[AuditLogPublic]:
    """Return up to `limit` + 1 entries, newest first. With `before` alone, those right before that entry.

    Raises `NotFound` for an unknown `after` or `before`.
    """
    where = wanted.conditions()
    for name, id in (("after", after), ("before", before)):
        if id is not None:
            _check(session, id, name)
            where.append(col(AuditLog.id) < id if name == "after" else col(AuditLog.id) > id)
    if before is not None and after is None:
        nearest = select(AuditLog.id).where(*where).order_by(col(AuditLog.id)).limit(limit)
        where = [col(AuditLog.id).in_(nearest)]
    return _show(session, where, limit + 1, newest_first=True)


def export(session: Session, wanted: Filter, after: str) -> list[AuditLogPublic]:
    """Return up to `EXPORT_BATCH_ROWS` entries after an id (`""` for the first), oldest first.

    Entries of the last ten seconds are left out: an entry with a smaller id may still be uncommitted, and an export
    that continues after this one would miss it.
    """
    settled = first_id(AuditLog.id_prefix, utc_now() - COMMIT_WINDOW)
    where = [*wanted.conditions(), col(AuditLog.id) > after, col(AuditLog.id) < settled]
    return _show(session, where, EXPORT_BATCH_ROWS, newest_first=False)


def _show(
    session: Session, where: list[ColumnElement[bool]], limit: int, *, newest_first: bool
) -> list[AuditLogPublic]:
    query = select(AuditLog, Project.name).outerjoin(Project, col(Project.id) == AuditLog.project_id).where(*where)
    order = col(AuditLog.id).desc() if newest_first else col(AuditLog.id).asc()
    return [AuditLogPublic.of(row, name) for row, name in session.exec(query.order_by(order).limit(limit))]


def _check(session: Session, id: str, param: str) -> None:
    if session.exec(select(AuditLog.id).where(AuditLog.id == id)).one_or_none() is None:
        raise NotFound(f"No such audit log: {id}", param=param)


def prune(session: Session, before: datetime) -> int:
    """Delete the entries from before a time, record that in an entry, and return how many were deleted.

    Each chain loses its beginning, up to the first entry that is kept. Needs the database role that owns the table:
    the trigger refuses any other.
    """
    session.exec(select(func.set_config(MAY_PRUNE, "on", True)))
    removed = 0
    for chain, position, hash in session.execute(_PRUNABLE, {"first": first_id(AuditLog.id_prefix, before)}).all():
        older = delete(AuditLog).where(col(AuditLog.project_id) == (chain or None))
        removed += session.exec(older.where(col(AuditLog.chain_position) <= position)).rowcount
        # After the entries: whoever adds one to this chain waits from here on.
        head = update(AuditChain).where(col(AuditChain.chain) == chain)
        session.exec(head.values(pruned=position, pruned_hash=hash))
    details = {"before": before.isoformat(), "removed": removed}
    session.add(AuditLog(type=PRUNED, actor="operator", details=details))
    return removed
