"""What waits for a worker, what has waited for too long, and whether the scheduler runs."""

from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel
from sqlmodel import Session, col, func, select

from shared.db.times import Moment, utc_now
from shared.due_tables import DUE
from shared.sweeps import MAX_AGE_SECONDS, LastSweep

STUCK_AFTER = timedelta(minutes=5)
TRIED_OFTEN = 3  # claims without a step that ended: each killed its worker, or outlasted its lease
MAX_STUCK = 50


class DueOfTable(BaseModel):
    """The rows of a table whose step is due, and since when the first is; `held`: those that workers hold now."""

    table: str
    due: int
    oldest_due_at: Moment | None
    held: int


class Stuck(BaseModel):
    """A row whose step has been due for five minutes, or that a worker has taken three times without ending a step."""

    table: str
    id: str
    project_id: str | None
    due_at: Moment
    failures: int


class Scheduler(BaseModel):
    """`swept_at`: when the scheduler last ran; null if it never did."""

    swept_at: Moment | None
    is_running: bool


class Due(BaseModel):
    """What waits for a worker. `tables`: each with rows that have steps. `stuck`: up to 50, due first at the top."""

    object: Literal["due"] = "due"
    scheduler: Scheduler
    tables: list[DueOfTable]
    stuck: list[Stuck]


def due(session: Session) -> Due:
    return Due(scheduler=scheduler(session), tables=due_rows(session), stuck=stuck_rows(session))


def scheduler(session: Session) -> Scheduler:
    swept_at = session.exec(select(func.max(LastSweep.swept_at))).one_or_none()
    is_running = swept_at is not None and utc_now() - swept_at <= timedelta(seconds=MAX_AGE_SECONDS)
    return Scheduler(swept_at=swept_at, is_running=is_running)


def due_rows(session: Session) -> list[DueOfTable]:
    """Return, for each table with steps, how much is due and held."""
    now = utc_now()
    found = []
    for model in DUE:
        is_due = col(model.due_at) <= now
        is_held = (col(model.due_at) > now) & (col(model.failures) > 0)
        count, oldest = session.exec(
            select(func.count(), func.min(model.due_at)).select_from(model).where(is_due)
        ).one()
        held = session.exec(select(func.count()).select_from(model).where(is_held)).one()
        found.append(DueOfTable(table=str(model.__tablename__), due=count, oldest_due_at=oldest, held=held))
    return found


def stuck_rows(session: Session) -> list[Stuck]:
    """Return up to 50 rows that are stuck, those that were due first at the top."""
    late = utc_now() - STUCK_AFTER
    found: list[Stuck] = []
    for model in DUE:
        has_step = col(model.due_at).is_not(None)
        is_stuck = (col(model.due_at) <= late) | (col(model.failures) >= TRIED_OFTEN)
        query: Any = select(model).where(has_step, is_stuck).order_by(col(model.due_at)).limit(MAX_STUCK)
        found += [_shown(str(model.__tablename__), row) for row in session.exec(query)]
    return sorted(found, key=lambda each: each.due_at)[:MAX_STUCK]


def _shown(table: str, row: Any) -> Stuck:
    project_id = getattr(row, "project_id", None)
    return Stuck(table=table, id=row.id, project_id=project_id, due_at=row.due_at, failures=row.failures)
