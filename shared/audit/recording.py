"""Writes an audit entry for each changed row, in the transaction of the change, by listening to SQLAlchemy's events.

`shared.audit.actor` says who acts and which tables count; routes and commands need no other code. The worker sets no
actor and leaves no entries: a job's events already say what it does.
"""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import Result, event, inspect
from sqlalchemy.orm import ORMExecuteState
from sqlmodel import Session, SQLModel

from shared.audit.actor import Actor, current_action
from shared.audit.models import AuditLog
from shared.projects.quotas import ProjectQuotas
from shared.projects.scopes import ADMIN_SCOPES, PROJECT_SCOPES

_ROWS = "audit rows"  # key of `session.info`: changed rows by id, with the changed columns
_TABLES = "audit tables"  # key of `session.info`: tables changed by a statement, which does not tell its rows
# Set whenever a step is scheduled.
_STEP_COLUMNS = {"due_at", "enqueued_at", "failures", "retries", "refusal_count", "next_action"}
_SCOPES = (*PROJECT_SCOPES, *ADMIN_SCOPES)
_QUOTAS = ProjectQuotas.model_fields.keys()
ChangedColumns = dict[str, dict[str, Any]]


@event.listens_for(Session, "after_flush")
def _collect_rows(session: Session, _: object) -> None:
    """Collect the changed rows. After the flush the session still has its lists and the previous values of columns."""
    action = current_action.get()
    if action is None or not (changes := action.changes()):
        return
    rows: dict[str, tuple[SQLModel, ChangedColumns]] = session.info.setdefault(_ROWS, {})
    for row in (*session.new, *session.dirty, *session.deleted):
        if getattr(row, "__tablename__", None) in changes:
            is_created = row in session.new and not changes[row.__tablename__].endswith(".updated")
            changed = {} if is_created else _changed_columns(row)
            if changed or row not in session.dirty:
                before = rows.get(row.id, (row, {}))[1]
                rows[row.id] = (row, {**before, **changed})


def _changed_columns(row: SQLModel) -> ChangedColumns:
    """Return each changed column with its old and new value; None instead of a value that a caller may have typed."""
    found: ChangedColumns = {}
    for column in inspect(row).mapper.column_attrs:
        history = inspect(row).attrs[column.key].history
        if history.has_changes() and column.key not in _STEP_COLUMNS:
            old, new = (_loggable(each[0] if each else None) for each in (history.deleted, history.added))
            found[column.key] = {"before": old, "after": new}
    if inspect(row).persistent:
        return found
    return {field: values for field, values in found.items() if values["after"] is not None and field != "created_at"}


def _loggable(value: object) -> object:
    """Return numbers, booleans, times, enums, scopes and quotas; None for any other value, which may be a secret."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list) and all(each in _SCOPES for each in value):
        return value
    if isinstance(value, dict) and value.keys() <= _QUOTAS and all(type(each) is int for each in value.values()):
        return value
    return value if isinstance(value, bool | int | float) else None


@event.listens_for(Session, "do_orm_execute")
def _collect_table(state: ORMExecuteState) -> Result[Any] | None:
    """Collect the table of an INSERT, UPDATE or DELETE statement that changed at least one row."""
    action = current_action.get()
    if action is None or not (state.is_insert or state.is_update or state.is_delete) or state.bind_mapper is None:
        return None
    table = state.bind_mapper.class_.__tablename__
    if table not in action.changes():
        return None
    result = state.invoke_statement()
    if getattr(result, "rowcount", 0) != 0:
        state.session.info.setdefault(_TABLES, set()).add(table)
    return result


@event.listens_for(Session, "before_commit")
def _write_entries(session: Session) -> None:
    action = current_action.get()
    if action is None or not (changes := action.changes()):
        return
    session.flush()
    actor, entries = action.actor(), list[AuditLog]()
    tables = session.info.pop(_TABLES, set())
    for row, changed in session.info.pop(_ROWS, {}).values():
        owner = row.id if row.__tablename__ == "projects" else getattr(row, "project_id", None)
        entries.append(_entry(actor, changes[row.__tablename__], row.id, owner, changed))
        tables.discard(row.__tablename__)
    for table in sorted(tables):
        owner = actor.project_id or (actor.resource_id if (actor.resource_id or "").startswith("proj_") else None)
        entries.append(_entry(actor, changes[table], actor.resource_id, owner, {}))
    session.add_all(in_order_of_chains(entries))


def in_order_of_chains(entries: list[AuditLog]) -> list[AuditLog]:
    """Sort the entries of a transaction: each locks its chain until the commit, and two could wait for each other."""

    def chain(entry: AuditLog) -> str:
        return entry.project_id or ""

    return sorted(entries, key=chain)


def _entry(
    actor: Actor, type: str, resource_id: str | None, project_id: str | None, changed: ChangedColumns
) -> AuditLog:
    return AuditLog.by(actor, type, resource_id, project_id, {"changed": changed} if changed else {})
