"""Writes what changes into the audit, in the transaction of the change: the one place where that is done.

Whoever acts says in `shared.audit.actor` what a change of which table is called; a route or a command needs no more.
The worker says nothing, and leaves no entries: what it does to a job is told by the job's events.
"""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import Result, event, inspect
from sqlalchemy.orm import ORMExecuteState
from sqlmodel import Session, SQLModel

from shared.audit.actor import Who, acting
from shared.audit.models import AuditLog
from shared.projects.scopes import ADMIN_SCOPES, PROJECT_SCOPES

_TOUCHED = "audit"  # in the `info` of a session: the rows that have changed, and how
_STATEMENTS = "audit statements"  # and the tables that a statement has changed, which does not say what rows
_NEXT_STEP = {"due_at", "enqueued_at", "failures", "retries", "refusals"}  # when a worker looks again is no change
_SCOPES = (*PROJECT_SCOPES, *ADMIN_SCOPES)
Changed = dict[str, dict[str, Any]]


@event.listens_for(Session, "after_flush")
def _note(session: Session, _: object) -> None:
    """Afterwards the session still knows what was new and what each row was before."""
    act = acting.get()
    if act is None or not (changes := act.changes()):
        return
    touched: dict[str, tuple[SQLModel, Changed]] = session.info.setdefault(_TOUCHED, {})
    for row in (*session.new, *session.dirty, *session.deleted):
        if getattr(row, "__tablename__", None) in changes:
            is_plain_new = row in session.new and not changes[row.__tablename__].endswith(".updated")
            changed = {} if is_plain_new else _changed(row)
            if changed or row not in session.dirty:
                before = touched.get(row.id, (row, {}))[1]
                touched[row.id] = (row, {**before, **changed})


def _changed(row: SQLModel) -> Changed:
    """What each changed column was and is: numbers, booleans, times and words of ours; of anything else its name."""
    found: Changed = {}
    for column in inspect(row).mapper.column_attrs:
        history = inspect(row).attrs[column.key].history
        if history.has_changes() and column.key not in _NEXT_STEP:
            old, new = (_harmless(each[0] if each else None) for each in (history.deleted, history.added))
            found[column.key] = {"before": old, "after": new}
    if inspect(row).persistent:
        return found
    return {field: values for field, values in found.items() if values["after"] is not None and field != "created_at"}


def _harmless(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list) and all(each in _SCOPES for each in value):
        return value
    return value if isinstance(value, bool | int | float) else None


@event.listens_for(Session, "do_orm_execute")
def _note_statement(state: ORMExecuteState) -> Result[Any] | None:
    """An UPDATE, DELETE or upsert of one of the tables, if it has met any row."""
    act = acting.get()
    if act is None or not (state.is_insert or state.is_update or state.is_delete) or state.bind_mapper is None:
        return None
    table = state.bind_mapper.class_.__tablename__
    if table not in act.changes():
        return None
    result = state.invoke_statement()
    if getattr(result, "rowcount", 0) != 0:
        state.session.info.setdefault(_STATEMENTS, set()).add(table)
    return result


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    act = acting.get()
    if act is None or not (changes := act.changes()):
        return
    session.flush()
    who = act.who()
    by_statement = session.info.pop(_STATEMENTS, set())
    for row, changed in session.info.pop(_TOUCHED, {}).values():
        owner = row.id if row.__tablename__ == "projects" else getattr(row, "project_id", None)
        session.add(_entry(who, changes[row.__tablename__], row.id, owner, changed))
        by_statement.discard(row.__tablename__)
    for table in sorted(by_statement):
        owner = who.project_id or (who.named if (who.named or "").startswith("proj_") else None)
        session.add(_entry(who, changes[table], who.named, owner, {}))


def _entry(who: Who, type: str, resource_id: str | None, project_id: str | None, changed: Changed) -> AuditLog:
    return AuditLog.by(who, type, resource_id, project_id, {"changed": changed} if changed else {})
