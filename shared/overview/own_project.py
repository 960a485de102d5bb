"""What a project's key reads of its project: limits, spend, usage and queue, in the numbers that an admin key sees."""

from typing import Literal

from pydantic import BaseModel
from sqlmodel import Session

from shared.budgets import limits
from shared.budgets.schemas import ApprovalLimitPublic, SpendLimitPublic
from shared.jobs.spending import usage
from shared.jobs.spending.usage import Usage
from shared.overview import queues
from shared.overview.queues import JobCounts, ModelQueue
from shared.overview.quotas import QuotasPublic, quotas_of
from shared.projects import rate_limits
from shared.projects import service as projects
from shared.projects.callers import Caller
from shared.projects.rate_limits import RateLimitPublic
from shared.projects.schemas import ModelPermissionsPublic, ProjectPublic


class OwnQueue(JobCounts):
    """The project's jobs that have not ended. `queue_position` is that of the first one that waits for a slot."""

    queue_position: int | None
    models: list[ModelQueue]


class OwnProject(BaseModel):
    """`spend_limit` and `approval_limit` are null where there is none. `usage` is of this month (UTC).

    `rate_limits` has the limits of the project and of the key of this request.
    """

    object: Literal["project"] = "project"
    id: str
    name: str
    project: ProjectPublic
    model_permissions: ModelPermissionsPublic
    rate_limits: list[RateLimitPublic]
    spend_limit: SpendLimitPublic | None
    approval_limit: ApprovalLimitPublic | None
    usage: Usage
    queue: OwnQueue
    quotas: QuotasPublic


def show(session: Session, caller: Caller) -> OwnProject:
    project = projects.get_project(session, caller.project_id)
    rates = rate_limits.list_rate_limits(session, project.id)
    return OwnProject(
        id=project.id,
        name=project.name,
        project=ProjectPublic.of(project),
        model_permissions=ModelPermissionsPublic.of(project),
        rate_limits=[RateLimitPublic.of(row) for row in rates if row.api_key_id in {None, caller.key_id}],
        spend_limit=limits.if_any(limits.get_spend_limit, session, project.id),
        approval_limit=limits.if_any(limits.get_approval_limit, session, project.id),
        usage=usage.this_month(session, project.id),
        queue=_queue(session, project.id),
        quotas=quotas_of(session, project.id),
    )


def _queue(session: Session, project_id: str) -> OwnQueue:
    models = queues.list_queues(session, [project_id])
    positions = [each.queue_position for each in models if each.queue_position is not None]
    counts = queues.total(models).model_dump()
    return OwnQueue(**counts, queue_position=min(positions, default=None), models=models)
