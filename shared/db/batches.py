"""Deletes old rows in batches, so that no transaction locks or writes too much at once."""

from sqlalchemy import ColumnElement, delete, inspect
from sqlmodel import Session, SQLModel, select

DELETE_BATCH_ROWS = 500


def delete_batch(session: Session, model: type[SQLModel], condition: ColumnElement[bool]) -> int:
    """Delete up to `DELETE_BATCH_ROWS` matching rows that no transaction has locked. Returns how many."""
    id = inspect(model).columns["id"]
    ids = session.scalars(select(id).where(condition).limit(DELETE_BATCH_ROWS).with_for_update(skip_locked=True)).all()
    session.exec(delete(model).where(id.in_(ids)))
    return len(ids)
