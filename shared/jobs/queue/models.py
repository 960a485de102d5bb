"""The queue of each account and base model, and what each project has had of it."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from shared.broker.queue import Task
from shared.db.columns import JSONField, TimeField
from shared.db.tables import DueTable, Owned


class JobQueue(DueTable, table=True):
    """The jobs of one account for one base model, which share its slots. Its step admits the next ones.

    Has a `due_at` as long as a job waits or the provider's limit is known. `retries` counts its refusals in a row.
    """

    __tablename__ = "job_queues"
    __table_args__ = (UniqueConstraint("credential_id", "model"),)
    id_prefix: ClassVar[str] = "queue_"
    called: ClassVar[str] = "queue"
    task: ClassVar[Task] = Task.ADMIT_JOBS

    credential_id: str = Field(foreign_key="credentials.id")
    model: str
    # The virtual time of the last admitted job. It only grows; a project that comes back starts here.
    virtual_time: float = 0.0
    creates_one_at_a_time: bool = False  # True from a refusal for the number of jobs until no job waits any more
    # How many jobs the provider has shown to accept at once, until `provider_limit_until`.
    provider_limit: int | None = None
    provider_limit_until: datetime | None = TimeField(default=None)
    # Slots held at the last step, and the Unix times at which slots became free: they tell how fast that goes.
    held: int = 0
    freed_at: list[float] = JSONField(default_factory=list)
    ranked_job_ids: list[str] = JSONField(default_factory=list)  # the jobs that show a `queue_position`
    ranked_at: datetime | None = TimeField(default=None)


class QueueShare(Owned, table=True):
    """What a project has had of a queue."""

    __tablename__ = "queue_shares"
    __table_args__ = (UniqueConstraint("queue_id", "project_id"),)
    id_prefix: ClassVar[str] = "share_"
    called: ClassVar[str] = "share"

    queue_id: str = Field(foreign_key="job_queues.id")
    virtual_time: float = 0.0  # grows by 1/weight with each admitted job; the project with the smallest goes next
