"""The only way to read a project's rows: every query names the project, so another project's row is not found."""

from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from shared.db.ids import first_id
from shared.db.tables import Deletable, Owned
from shared.errors import NotFound

OwnedRow = TypeVar("OwnedRow", bound=Owned)
_ID_MARGIN = timedelta(seconds=10)  # `created_at` is set a moment after the id, whose time an index finds


def get_owned(
    session: Session,
    model: type[OwnedRow],
    id: str,
    project_id: str,
    *where: Any,
    param: str = "id",
    lock: bool = False,
) -> OwnedRow:
    """Return one row of a project, locked until the transaction ends if `lock` is set.

    Raises `NotFound`, in the same words whether the row belongs to another project, is deleted, or never existed.
    """
    query = select(model).where(model.id == id, model.project_id == project_id, *where)
    if issubclass(model, Deletable):
        query = query.where(col(model.deleted_at).is_(None))
    # FOR NO KEY UPDATE: inserting a row that refers to this one need not wait.
    row = session.exec(query.with_for_update(key_share=True) if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"No such {model.called}: {id}", param=param)
    return row


def list_owned(
    session: Session,
    model: type[OwnedRow],
    project_id: str,
    *where: Any,
    after: str | None,
    limit: int,
    ascending: bool = False,
) -> list[OwnedRow]:
    """Return up to `limit` + 1 rows, newest first unless `ascending`; the extra row says that there is another page.

    `after` is the last id of the previous page: ids sort by time. Raises `NotFound` if the project has no such row.
    """
    query = select(model).where(model.project_id == project_id, *where)
    if issubclass(model, Deletable):
        query = query.where(col(model.deleted_at).is_(None))
    if after is not None:
        check_cursor(session, model, after, project_id)
        query = query.where(model.id > after if ascending else model.id < after)
    order = col(model.id).asc() if ascending else col(model.id).desc()
    return list(session.exec(query.order_by(order).limit(limit + 1)).all())


def check_cursor(session: Session, model: type[Owned], after: str, project_id: str) -> None:
    """Raise `NotFound` unless `after` is an id of the project. A row deleted between two pages still counts."""
    if session.exec(select(model.id).where(model.id == after, model.project_id == project_id)).one_or_none() is None:
        raise NotFound(f"No such {model.called}: {after}", param="after")


def created_between(model: type[Owned], since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """Return conditions for rows created from `since` (included) until `until` (excluded); None is no bound."""
    where = []
    if since is not None:
        where += [col(model.created_at) >= since, col(model.id) >= first_id(model.id_prefix, since - _ID_MARGIN)]
    if until is not None:
        where += [col(model.created_at) < until, col(model.id) < first_id(model.id_prefix, until + _ID_MARGIN)]
    return where
