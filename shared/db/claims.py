"""Gives each due row to one worker at a time: a claim sets a lease, and only its holder may record the step.

`due_at` is the lease and the fencing token in one: a claim moves it to the end of the lease, and a step is recorded
only while it still has that value. A worker that takes too long loses the row without doing harm.
"""

from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, inspect, update
from sqlmodel import Session, col, select

from shared.db.tables import DueTable, OwnedDue
from shared.db.times import utc_now

DueRow = TypeVar("DueRow", bound=DueTable | OwnedDue)


def make_due(session: Session, row: DueTable | OwnedDue, *, even_if_backing_off: bool = False) -> None:
    """Make the row's next step due now and send a wake-up message after the commit.

    Locks the row first: a worker may have claimed or released it since it was read. If a worker holds it, only
    `enqueued_at` changes: `run_one` compares it after the step, and makes the next step due at once if it moved.
    A row that backs off after a failure keeps its `due_at`, unless `even_if_backing_off`.
    """
    if inspect(row).persistent:
        session.refresh(row, ["due_at", "enqueued_at", "failures"], with_for_update={"key_share": True})
    if row.failures == 0 or (even_if_backing_off and row.enqueued_at is None):
        row.due_at = row.enqueued_at = utc_now()
    elif row.enqueued_at is not None:
        row.enqueued_at = utc_now()
    session.add(row)
    row.enqueue_on_commit(session)


def claim(session: Session, model: type[DueRow], condition: ColumnElement[bool], lease: timedelta) -> DueRow | None:
    """Claim the row that has been due longest among those that match; None if none is due or all are locked.

    Counts the attempt in `failures` before the work starts, so that a step that kills its worker is counted too.
    """
    due = select(model.id).where(condition, col(model.due_at) <= utc_now()).order_by(col(model.due_at)).limit(1)
    free = due.with_for_update(skip_locked=True, key_share=True).scalar_subquery()
    values = {"due_at": utc_now() + lease, "enqueued_at": utc_now(), "failures": col(model.failures) + 1}
    taken = update(model).where(col(model.id) == free).values(values).returning(model)
    return session.exec(taken).scalar_one_or_none()


def still_held(session: Session, row: DueRow) -> DueRow | None:
    """Return the claimed row, locked and read again; None if the lease ran out and another worker claimed it."""
    model = type(row)
    query = select(model).where(model.id == row.id, model.due_at == row.due_at)
    return session.exec(query.with_for_update(key_share=True)).one_or_none()


def renew(session: Session, row: DueRow, lease: timedelta) -> DueRow | None:
    """Extend the lease from now; None if the row was lost. After the commit, copy the new `due_at` to `row`."""
    held = still_held(session, row)
    if held is not None:
        held.due_at = utc_now() + lease
    return held


def release(row: DueTable | OwnedDue, due_at: datetime | None) -> None:
    """End a step: nobody holds the row, and its next step is due at `due_at`; None if nothing is left to do."""
    row.due_at, row.failures = due_at, 0
