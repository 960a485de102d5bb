"""Reads rows for answers: as columns instead of entities, in one round trip to Postgres.

It asks what `get_owned` and `list_owned` ask, by the same conditions (`shared.db.owned`), limited to the project in the
same way. A session spends most of a read's time on what only a change needs: entities, their state, a message for each
of begin, limit, query and commit. Here SQLAlchemy makes the text of a query once, and psycopg runs it.
What no answer shows and takes long to read stays in Postgres (`_SHORTENED`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import ClauseElement, Enum, Integer, String, bindparam, inspect, select, text
from sqlmodel import col

from shared.database import driver_pipeline, get_engine
from shared.db.owned import OwnedRow, is_there, not_found, page_of, was_there
from shared.db.tables import Owned
from shared.jobs.models import Job

Values = Mapping[str, Any]
_PROJECT, _ID, _PARENT, _AFTER = (bindparam(name, None, String) for name in ("project", "id", "parent", "after"))
_ROWS = bindparam("rows", None, Integer)
# The curve of a job's losses is for the dashboard's list; to parse it took as long as the rest of the row.
_SHORTENED: Mapping[type[Owned], Values] = {Job: {"loss_summary": col(Job.loss_summary).op("-")(text("'train_loss'"))}}


@dataclass(frozen=True)
class Within:
    """The row that a list belongs to, as its rows say in `column`; `param` names it in the error if there is none."""

    column: Any
    model: type[Owned]
    id: str
    param: str


def one(model: type[OwnedRow], id: str, project_id: str, *, param: str = "id") -> OwnedRow:
    """Return one row of a project. Its columns are attributes, but it is no entity: changing it changes nothing.

    Raises `NotFound` as `get_owned` does.
    """
    [found] = _ask(project_id, (_one(model), {"id": id}))
    if not found:
        raise not_found(model, id, param)
    return _rows(model, found)[0]


def page(
    model: type[OwnedRow],
    project_id: str,
    *where: Any,
    after: str | None,
    limit: int,
    ascending: bool = False,
    within: Within | None = None,
) -> list[OwnedRow]:
    """Return up to `limit` + 1 rows, as `list_owned` does; they are no entities. Raises `NotFound`."""
    checks = []
    if within is not None:
        error = not_found(within.model, within.id, within.param)
        checks.append(((_parent(within.model), {"id": within.id}), error))
    if after is not None:
        checks.append(((_cursor(model), {"id": after}), not_found(model, after, "after")))
    shape = model, within.column if within else None, after is not None, ascending
    text, values = _filtered(*shape, *where) if where else (_page(*shape), {})
    query = text, {**values, "parent": within.id if within else None, "after": after, "rows": limit + 1}
    *checked, found = _ask(project_id, *(each for each, _ in checks), query)
    for rows, (_, error) in zip(checked, checks, strict=True):
        if not rows:
            raise error
    return _rows(model, found)


def _ask(project_id: str, *queries: tuple[str, Values]) -> list[list[tuple[Any, ...]]]:
    """Run the queries in a transaction of the project."""
    with driver_pipeline(project_id) as connection:
        cursors = [connection.execute(text, {**values, "project": project_id}) for text, values in queries]
    return [cursor.fetchall() for cursor in cursors]


def _compiled(query: ClauseElement) -> tuple[str, Values]:
    """`render_postcompile`: with each value of an IN."""
    compiled = query.compile(dialect=get_engine().dialect, compile_kwargs={"render_postcompile": True})
    return str(compiled), compiled.params


@cache
def _one(model: type[Owned]) -> str:
    return _compiled(select(*_columns(model)).where(*is_there(model, _PROJECT), col(model.id) == _ID))[0]


@cache
def _parent(model: type[Owned]) -> str:
    return _compiled(select(col(model.id)).where(*is_there(model, _PROJECT), col(model.id) == _ID))[0]


@cache
def _cursor(model: type[Owned]) -> str:
    return _compiled(select(col(model.id)).where(*was_there(model, _ID, _PROJECT)))[0]


@cache
def _page(model: type[Owned], column: Any, is_next: bool, ascending: bool) -> str:
    return _filtered(model, column, is_next, ascending)[0]


def _filtered(model: type[Owned], column: Any, is_next: bool, ascending: bool, *where: Any) -> tuple[str, Values]:
    """A page that has filters: there are too many kinds of those to keep each text, and few lists have any."""
    if column is not None:
        where = *where, column == _PARENT
    query = select(*_columns(model)).where(*is_there(model, _PROJECT, *where))
    return _compiled(page_of(query, model, _AFTER if is_next else None, _ROWS, ascending))


def _columns(model: type[Owned]) -> list[Any]:
    return [*{**inspect(model).columns, **_SHORTENED.get(model, {})}.values()]


@cache
def _named(model: type[Owned]) -> tuple[list[str], list[tuple[str, Any]]]:
    """The names of a row's values, and the enums of those that are members of one: Postgres returns texts."""
    columns = inspect(model).columns.items()
    enums = [(name, column.type.enum_class) for name, column in columns if isinstance(column.type, Enum)]
    return [name for name, _ in columns], enums


def _rows(model: type[OwnedRow], found: list[tuple[Any, ...]]) -> list[OwnedRow]:
    names, enums = _named(model)
    rows = [dict(zip(names, values, strict=True)) for values in found]
    for row in rows:
        for name, enum in enums:
            if row[name] is not None:
                row[name] = enum(row[name])
    return cast("list[OwnedRow]", [SimpleNamespace(**row) for row in rows])
