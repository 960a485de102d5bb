"""Base classes of the tables: a prefixed id, an owning project, soft deletion, and the time of the next step."""

from datetime import datetime
from typing import Any, ClassVar

from sqlmodel import Field, Session, SQLModel

from shared.broker.queue import Task, enqueue_on_commit
from shared.db.columns import TimeField
from shared.db.ids import new_id
from shared.db.times import utc_now
from shared.telemetry import spans

# Migrations name constraints explicitly, so that a later one can drop them.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel):
    """A row with a prefixed id. Error messages use `called` as the name of the resource."""

    id_prefix: ClassVar[str]
    called: ClassVar[str] = "object"

    id: str = Field(default="", primary_key=True)
    created_at: datetime = TimeField(default_factory=utc_now)

    def __init__(self, **values: Any) -> None:
        values.setdefault("id", new_id(self.id_prefix))
        super().__init__(**values)


class Owned(Table):
    """A row that belongs to one project. Read it with `get_owned` and `list_owned`, which require the project's id."""

    project_id: str = Field(foreign_key="projects.id")


class Traced(SQLModel):
    """A row whose steps belong to the trace of the request or the step that has made it; null if none is kept."""

    traceparent: str | None = Field(default_factory=spans.traceparent, sa_column_kwargs={"default": None})


class Deletable(SQLModel):
    """A row that is kept for the history after its deletion, but is no longer found."""

    deleted_at: datetime | None = TimeField(default=None)


class Due(SQLModel):
    """A row with a next step, which a worker claims when `due_at` has passed.

    `due_at`: time of the next step; null if nothing is left to do. While a worker holds the row: the end of its lease.
    `enqueued_at`: when a wake-up message was last sent; null while the row backs off after a failure.
    `failures`: claims since the last recorded step; 0 means that no worker holds the row.
    `retries`: consecutive answers of «try again later».
    `enqueue_column`: the column whose value the wake-up message carries: the row's own id, or the id of a parent whose
    rows one step works through together.
    """

    task: ClassVar[Task]
    enqueue_column: ClassVar[str] = "id"

    due_at: datetime | None = TimeField(default_factory=utc_now, index=True)
    enqueued_at: datetime | None = TimeField(default_factory=utc_now)
    failures: int = 0
    retries: int = 0

    def enqueue_on_commit(self, session: Session) -> None:
        """Send a wake-up message after the commit, when a worker can see the row."""
        project_id = getattr(self, "project_id", None)
        enqueue_on_commit(session, self.task, getattr(self, self.enqueue_column), project_id)


class DueTable(Table, Due):
    """A row with a next step that no single project owns."""


class OwnedDue(Owned, Due):
    """A project's row with a next step."""
