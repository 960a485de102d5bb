"""What tables share: an id, an owner, column types, and the next step's time."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from sqlalchemy import ColumnElement, DateTime, Dialect, Enum, Numeric, TypeDecorator, delete, inspect, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, Session, SQLModel, col, select

from shared.broker.queue import Task, enqueue_on_commit
from shared.db.ids import new_id
from shared.errors import NotFound

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


# Longer than any transaction that others wait to see: ids are made before the commit, so an older one may come later.
COMMITTED_WITHIN = timedelta(seconds=10)
DELETED_AT_ONCE = 1000


def utc_now() -> datetime:
    return datetime.now(UTC)


def epoch(time: datetime) -> int:
    """Whole Unix seconds, as OpenAI's wire gives every time."""
    return int(time.timestamp())


def from_epoch(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC. A naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime may not be stored")
        return value


def TimeField(**options: Any) -> Any:
    """A default is for a row that names no time: as a column's default it would also replace a None that is meant."""
    return Field(sa_type=UTCDateTime, sa_column_kwargs={"default": None}, **options)


def JSONField(**options: Any) -> Any:
    return Field(sa_type=JSONB(none_as_null=True), **options)


def AmountField(**options: Any) -> Any:
    """An exact decimal of any length, for money."""
    return Field(sa_type=Numeric, **options)


def EnumField(enum: type[StrEnum], **options: Any) -> Any:
    """A text column that holds an enum's values and gives its members back."""
    values = [member.value for member in enum]
    column = Enum(enum, native_enum=False, create_constraint=False, length=32, values_callable=lambda _: values)
    return Field(sa_type=column, **options)


class Table(SQLModel):
    """A row with a prefixed id. `called` is what a caller knows it as."""

    id_prefix: ClassVar[str]
    called: ClassVar[str] = "object"

    id: str = Field(default="", primary_key=True)
    created_at: datetime = TimeField(default_factory=utc_now)

    def __init__(self, **values: Any) -> None:
        values.setdefault("id", new_id(self.id_prefix))
        super().__init__(**values)


class Owned(Table):
    """A row that belongs to one project, and is never read without naming it."""

    project_id: str = Field(foreign_key="projects.id")


class Deletable(SQLModel):
    """A row that stays for history's sake and is not found any more."""

    deleted_at: datetime | None = TimeField(default=None)


class Due(SQLModel):
    """A row with a next step.

    `due_at`: when the next step is due; null if there is none. `failures`: claims since a step was last recorded; 0 if
    nobody holds the row. A row without `enqueued_at` is not held either: it waits after a failure. `retries`: answers
    in a row that said «try again later». `enqueue_column`: the column whose value a message carries, the row's id or
    the id of what several rows belong to.
    """

    task: ClassVar[Task]
    enqueue_column: ClassVar[str] = "id"

    due_at: datetime | None = TimeField(default_factory=utc_now, index=True)
    enqueued_at: datetime | None = TimeField(default_factory=utc_now)
    failures: int = 0
    retries: int = 0

    def enqueue_on_commit(self, session: Session) -> None:
        """Wake a worker once this row is there to be seen."""
        enqueue_on_commit(session, self.task, getattr(self, self.enqueue_column))


class DueTable(Table, Due):
    """A table with steps, before it is known whose its rows are."""


class OwnedDue(Owned, Due):
    """A project's row with steps."""


OwnedRow = TypeVar("OwnedRow", bound=Owned)
DueRow = TypeVar("DueRow", bound=DueTable | OwnedDue)


def get_owned(
    session: Session,
    model: type[OwnedRow],
    id: str,
    project_id: str,
    *where: Any,
    param: str = "id",
    lock: bool = False,
) -> OwnedRow:
    """One row of a project. Another project's, or a deleted one, is not found, in the same words."""
    query = select(model).where(model.id == id, model.project_id == project_id, *where)
    if issubclass(model, Deletable):
        query = query.where(col(model.deleted_at).is_(None))
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
    """One row more than `limit`, newest first unless `ascending`; ids sort by time, so the last id is the cursor."""
    query = select(model).where(model.project_id == project_id, *where)
    if issubclass(model, Deletable):
        query = query.where(col(model.deleted_at).is_(None))
    if after is not None:
        check_cursor(session, model, after, project_id)
        query = query.where(model.id > after if ascending else model.id < after)
    order = col(model.id).asc() if ascending else col(model.id).desc()
    return list(session.exec(query.order_by(order).limit(limit + 1)).all())


def check_cursor(session: Session, model: type[Owned], after: str, project_id: str) -> None:
    """A cursor is an id like any other: it must be the project's own. A row deleted while paging still serves."""
    if session.exec(select(model.id).where(model.id == after, model.project_id == project_id)).one_or_none() is None:
        raise NotFound(f"No such {model.called}: {after}", param="after")


def make_due(session: Session, row: DueTable | OwnedDue, *, even_if_put_off: bool = False) -> None:
    """Let the next step be now. A step under way is not disturbed: by `enqueued_at` it may see that it is wanted again.

    A row whose steps fail waits all the same, unless `even_if_put_off`: nobody holds it.
    """
    if row.failures == 0 or (even_if_put_off and row.enqueued_at is None):
        row.due_at = row.enqueued_at = utc_now()
    elif row.enqueued_at is not None:
        row.enqueued_at = utc_now()
    session.add(row)
    row.enqueue_on_commit(session)


def claim(session: Session, model: type[DueRow], which: ColumnElement[bool], lease: timedelta) -> DueRow | None:
    """Take that row of these which is due longest for the length of a lease, unless all are taken or not due.

    The attempt counts before the work.
    """
    due = select(model.id).where(which, col(model.due_at) <= utc_now()).order_by(col(model.due_at)).limit(1)
    free = due.with_for_update(skip_locked=True, key_share=True).scalar_subquery()
    values = {"due_at": utc_now() + lease, "enqueued_at": utc_now(), "failures": col(model.failures) + 1}
    taken = update(model).where(col(model.id) == free).values(values).returning(model)
    return session.exec(taken).scalar_one_or_none()


def still_held(session: Session, row: DueRow) -> DueRow | None:
    """The claimed row, locked again; None if its lease ran out and another took it."""
    model = type(row)
    query = select(model).where(model.id == row.id, model.due_at == row.due_at)
    return session.exec(query.with_for_update(key_share=True)).one_or_none()


def delete_some(session: Session, model: type[SQLModel], which: ColumnElement[bool]) -> int:
    """Remove up to 1,000 rows of these that nobody holds, by their `id`; how many."""
    id = inspect(model).columns["id"]
    ids = session.scalars(select(id).where(which).limit(DELETED_AT_ONCE).with_for_update(skip_locked=True)).all()
    session.exec(delete(model).where(id.in_(ids)))
    return len(ids)


def renew(session: Session, row: DueRow, lease: timedelta) -> DueRow | None:
    """Hold a claimed row for another lease, from now; None if it ran out. Tell `row` of it once that is committed."""
    held = still_held(session, row)
    if held is not None:
        held.due_at = utc_now() + lease
    return held


def release(row: DueTable | OwnedDue, due_at: datetime | None) -> None:
    """End a step: nobody holds the row, and its next step is at `due_at`."""
    row.due_at, row.failures = due_at, 0
