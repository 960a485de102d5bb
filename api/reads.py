"""Reads rows for answers: as columns instead of entities, in one round trip to Postgres.

It asks what `get_owned` and `list_owned` ask, by the same conditions (`shared.db.owned`), limited to the project in the
same way. A session spends most of a read's time on what only a change needs: a thread, entities, their state, a message
for each of begin, limit, query and commit. Here SQLAlchemy makes the text of a query once (`api.round_trips` sends it).
What no answer shows and takes long to read stays in Postgres (`_SHORTENED`).
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import ClauseElement, Dialect, Enum, Integer, Select, String, bindparam, inspect, select, text
from sqlalchemy.dialects import registry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlmodel import col
from starlette.responses import Response

from api import round_trips
from api.http.answer import answer
from api.round_trips import Row, Statement, worked
from shared.db.owned import OwnedRow, is_there, not_found, page_of, was_there
from shared.db.pages import Listed, Page
from shared.db.row_security import LIMIT
from shared.db.tables import Owned
from shared.jobs.models import Job

Values = Mapping[str, Any]
_DIALECT: Dialect = registry.load("postgresql.psycopg")(paramstyle="numeric_dollar")  # $1, $2 …, as Postgres has them
_PROJECT, _ID, _PARENT, _AFTER = (bindparam(name, None, String) for name in ("project", "id", "parent", "after"))
_ROWS = bindparam("rows", None, Integer)
# The curve of a job's losses is for the dashboard's list; to parse it took as long as the rest of the row.
_SHORTENED: Mapping[type[Owned], Values] = {Job: {"loss_summary": col(Job.loss_summary).op("-")(text("'train_loss'"))}}


@dataclass(frozen=True)
class Query:
    """A query as Postgres reads it, its parameters in their order, and the values of those that a filter brings."""

    text: bytes
    parameters: Sequence[str]
    values: Values
    prepared: bool

    def with_values(self, given: Values) -> Statement:
        known = {**self.values, **given}
        return Statement(self.text, [known[name] for name in self.parameters], self.prepared)


@dataclass(frozen=True)
class Within:
    """The row that a list belongs to, as its rows say in `column`; `param` names it in the error if there is none."""

    column: Any
    model: type[Owned]
    id: str
    param: str


async def one(model: type[OwnedRow], id: str, project_id: str, *, param: str = "id") -> OwnedRow:
    """Return one row of a project. Its columns are attributes, but it is no entity: changing it changes nothing.

    Raises `NotFound` as `get_owned` does.
    """
    [found] = await _ask(project_id, (_one(model), {"id": id}))
    if not found:
        raise not_found(model, id, param)
    return _rows(model, found)[0]


async def page(
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
    query = _filtered(*shape, where) if where else _page(*shape)
    values = {"parent": within.id if within else None, "after": after, "rows": limit + 1}
    *checked, found = await _ask(project_id, *(each for each, _ in checks), (query, values))
    for rows, (_, error) in zip(checked, checks, strict=True):
        if not rows:
            raise error
    return await worked(lambda: _rows(model, found), len(found))


async def answer_page(rows: Sequence[OwnedRow], of: Callable[[OwnedRow], Listed], limit: int) -> Response:
    """Return a page of up to `limit` rows, each as the object that `of` makes of it."""
    return await worked(lambda: answer(Page[Any].of([of(row) for row in rows], limit)), len(rows))


async def _ask(project_id: str, *queries: tuple[Query, Values]) -> list[list[Row]]:
    """Run the queries in one transaction, limited to the project."""
    own = {"project": project_id}
    limited = [(_limit(), own), *((query, {**values, **own}) for query, values in queries)]
    return (await round_trips.ask(*(query.with_values(values) for query, values in limited)))[1:]


def _compiled(query: ClauseElement, *, prepared: bool = True) -> Query:
    """`render_postcompile`: with each value of an IN."""
    compiled = cast("SQLCompiler", query.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True}))
    return Query(str(compiled).encode(), compiled.positiontup or (), compiled.params, prepared)


@cache
def _limit() -> Query:
    return _compiled(LIMIT)


@cache
def _one(model: type[Owned]) -> Query:
    return _compiled(select(*_columns(model)).where(*is_there(model, _PROJECT), col(model.id) == _ID))


@cache
def _parent(model: type[Owned]) -> Query:
    return _compiled(select(col(model.id)).where(*is_there(model, _PROJECT), col(model.id) == _ID))


@cache
def _cursor(model: type[Owned]) -> Query:
    return _compiled(select(col(model.id)).where(*was_there(model, _ID, _PROJECT)))


@cache
def _page(model: type[Owned], column: Any, is_next: bool, ascending: bool) -> Query:
    return _compiled(_select_page(model, column, is_next, ascending))


def _filtered(model: type[Owned], column: Any, is_next: bool, ascending: bool, where: Sequence[Any]) -> Query:
    """There are too many kinds of filters to keep each text, and few lists have any."""
    return _compiled(_select_page(model, column, is_next, ascending, *where), prepared=False)


def _select_page(model: type[Owned], column: Any, is_next: bool, ascending: bool, *where: Any) -> Select[Any]:
    if column is not None:
        where = *where, column == _PARENT
    query = select(*_columns(model)).where(*is_there(model, _PROJECT, *where))
    return page_of(query, model, _AFTER if is_next else None, _ROWS, ascending)


def _columns(model: type[Owned]) -> list[Any]:
    return [*{**inspect(model).columns, **_SHORTENED.get(model, {})}.values()]


@cache
def _shape(model: type[Owned]) -> tuple[Callable[[Iterable[Any]], Any], list[tuple[int, Mapping[Any, Any]]]]:
    """What makes a row of its values, and by the position of those that are members of an enum, which of which text."""
    columns = inspect(model).columns
    types = [(place, column.type) for place, column in enumerate(columns)]
    enums = [(place, type.enum_class or ()) for place, type in types if isinstance(type, Enum)]
    make: Any = namedtuple  # mypy knows only those whose names it can read
    return make("row", columns.keys())._make, [
        (place, {member.value: member for member in enum}) for place, enum in enums
    ]


def _rows(model: type[OwnedRow], found: list[Row]) -> list[OwnedRow]:
    make, enums = _shape(model)
    rows = []
    for row in found:
        values = list(row)
        for place, members in enums:
            if values[place] is not None:
                values[place] = members[values[place]]
        rows.append(make(values))
    return rows
