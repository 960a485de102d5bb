"""That sweeps are made: noted by whoever makes one, so that everybody can see it when nobody does."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, Session, SQLModel

from shared.db.columns import TimeField

LAST = "last"


class SweepNote(SQLModel, table=True):
    """One row: when the last sweep was noted, by Postgres's clock."""

    __tablename__ = "sweeps"

    name: str = Field(primary_key=True)
    swept_at: datetime = TimeField()


def note(session: Session) -> None:
    new = insert(SweepNote).values(name=LAST, swept_at=func.now())
    session.exec(new.on_conflict_do_update(index_elements=["name"], set_={"swept_at": func.now()}))
