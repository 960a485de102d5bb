"""Records when the last sweep ran, so that health checks notice when no scheduler is running."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, Session, SQLModel

from shared.db.columns import TimeField

MAX_AGE_SECONDS = 30.0  # of the last sweep while a scheduler runs, which notes one every 5 s
LAST = "last"  # the name of the only row


class LastSweep(SQLModel, table=True):
    """One row: when the last sweep ran, by the clock of Postgres."""

    __tablename__ = "sweeps"

    name: str = Field(primary_key=True)
    swept_at: datetime = TimeField()


def record_sweep(session: Session) -> None:
    new = insert(LastSweep).values(name=LAST, swept_at=func.now())
    session.exec(new.on_conflict_do_update(index_elements=["name"], set_={"swept_at": func.now()}))
