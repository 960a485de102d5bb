"""The only way to read a project's rows: every query names the project, so another project's row is not found."""

from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select
from sqlmodel import Session, col, select

from shared.db.ids import first_id
from shared.db.tables import Deletable, Owned
from shared.errors import NotFound

OwnedRow = TypeVar("OwnedRow", bound=Owned)
Query = TypeVar("Query", bound=Select[Any])
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
    query = select(model).where(*is_there(model, project_id, *where), model.id == id)
    # FOR NO KEY UPDATE: inserting a row that refers to this one need not wait.
    row = session.exec(query.with_for_update(key_share=True) if lock else query).one_or_none()
    if row is None:
        raise not_found(model, id, param)
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
    if after is not None:
        check_cursor(session, model, after, project_id)
    query = select(model).where(*is_there(model, project_id, *where))
    return list(session.exec(page_of(query, model, after, limit + 1, ascending)).all())


def check_cursor(session: Session, model: type[Owned], after: str, project_id: str) -> None:
    """Raise `NotFound` unless `after` is an id of the project. A row deleted between two pages still counts."""
    if session.exec(select(model.id).where(*was_there(model, after, project_id))).one_or_none() is None:
        raise not_found(model, after, "after")


def is_there(model: type[Owned], project_id: Any, *where: Any) -> list[Any]:
    """Return the conditions for rows of a project that are not deleted."""
    is_kept: list[Any] = [col(model.deleted_at).is_(None)] if issubclass(model, Deletable) else []
    return [col(model.project_id) == project_id, *where, *is_kept]


def was_there(model: type[Owned], id: Any, project_id: Any) -> list[Any]:
    """Return the conditions for one row of a project, deleted or not."""
    return [col(model.id) == id, col(model.project_id) == project_id]


def page_of(query: Query, model: type[Owned], after: Any, rows: Any, ascending: bool) -> Query:
    """Order a query by id, and narrow it to `rows` rows after the last one of the page before, if that is not None."""
    if after is not None:
        query = query.where(col(model.id) > after if ascending else col(model.id) < after)
    return query.order_by(col(model.id).asc() if ascending else col(model.id).desc()).limit(rows)


def not_found(model: type[Owned], id: str, param: str) -> NotFound:
    return NotFound(f"No such {model.called}: {id}", param=param)


def created_between(model: type[Owned], since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """Return conditions for rows created from `since` (included) until `until` (excluded); None is no bound."""
    where = []
    if since is not None:
        where += [col(model.created_at) >= since, col(model.id) >= first_id(model.id_prefix, since - _ID_MARGIN)]
    if until is not None:
        where += [col(model.created_at) < until, col(model.id) < first_id(model.id_prefix, until + _ID_MARGIN)]
    return where
