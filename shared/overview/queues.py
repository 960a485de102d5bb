"""Counts the jobs that have not ended, by project and base model: who waits for a slot, and who has one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import func, text
from sqlmodel import Session, col, select

from shared.db.pages import Listed
from shared.db.times import epoch
from shared.jobs.models import IS_OPEN, IS_WAITING, Job, JobStatus
from shared.jobs.queue import slots
from shared.projects.models import Credential, Project


class JobCounts(BaseModel):
    """Jobs that have not ended: each counts once.

    `preparing`: their files, cost or approval are not settled. `waiting`: for a slot at the provider. `active`: at the
    provider, or about to be created there.
    """

    preparing: int
    waiting: int
    active: int
    paused: int


class ModelQueue(Listed, JobCounts):
    """The jobs of one project for one base model.

    `max_concurrent_jobs`: how many of them may be active at once; null: not known. `queue_position` and
    `estimated_start` are those of the first job that waits; null if none does, or if it is far behind.
    """

    object: Literal["project.queue"] = "project.queue"
    project_id: str
    model: str
    max_concurrent_jobs: int | None
    queue_position: int | None
    estimated_start: int | None


@dataclass
class _Sum:
    credential_id: str
    counts: dict[str, int] = field(default_factory=dict)
    position: int | None = None
    start: datetime | None = None


def list_queues(
    session: Session, project_ids: Sequence[str] | None = None, models: Sequence[str] | None = None
) -> list[ModelQueue]:
    """Return the queues that have jobs, of these projects or of all, sorted by project and base model.

    `models` may be names of snapshots: those share a queue with their base model.
    """
    wanted = {slots.base_of(model) for model in models} if models is not None else None
    sums: dict[tuple[str, str], _Sum] = {}
    for found in _rows(session, project_ids):
        base = slots.base_of(found["model"])
        if wanted is None or base in wanted:
            _add(sums.setdefault((found["project_id"], base), _Sum(found["credential_id"])), found)
    return [*_shown(session, sums)]


def total(queues: Sequence[ModelQueue]) -> JobCounts:
    return JobCounts(**{name: sum(getattr(each, name) for each in queues) for name in JobCounts.model_fields})


def _rows(session: Session, project_ids: Sequence[str] | None) -> Sequence[Any]:
    """One row for each project and name of a model."""
    is_active, is_waiting, is_paused = slots.is_active(), text(IS_WAITING), col(Job.status) == JobStatus.PAUSED
    columns: list[Any] = [
        Job.project_id,
        Job.model,
        func.max(Job.credential_id).label("credential_id"),  # the newest account is the one that is used
        func.count().label("all"),
        func.count().filter(is_active).label("active"),
        func.count().filter(is_waiting).label("waiting"),
        func.count().filter(is_paused).label("paused"),
        func.min(Job.queue_position).filter(is_waiting).label("position"),
        func.min(Job.estimated_start_at).filter(is_waiting).label("start"),
    ]
    query = select(*columns).where(text(IS_OPEN)).group_by(col(Job.project_id), col(Job.model))
    if project_ids is not None:
        query = query.where(col(Job.project_id).in_(project_ids))
    return session.execute(query).mappings().all()


def _add(sums: _Sum, found: Mapping[str, Any]) -> None:
    preparing = found["all"] - found["active"] - found["waiting"] - found["paused"]
    for name, count in {**found, "preparing": preparing}.items():
        if name in JobCounts.model_fields:
            sums.counts[name] = sums.counts.get(name, 0) + count
    sums.position = min((each for each in (sums.position, found["position"]) if each is not None), default=None)
    sums.start = min((each for each in (sums.start, found["start"]) if each is not None), default=None)


def _shown(session: Session, sums: dict[tuple[str, str], _Sum]) -> Iterator[ModelQueue]:
    for (project_id, base), each in sorted(sums.items()):
        credential, project = session.get_one(Credential, each.credential_id), session.get_one(Project, project_id)
        yield ModelQueue(
            id=f"{project_id}/{base}",
            project_id=project_id,
            model=base,
            max_concurrent_jobs=slots.most_of_project(credential, base, project),
            queue_position=each.position,
            estimated_start=epoch(each.start) if each.start else None,
            **each.counts,
        )


def next_jobs(session: Session, limit: int) -> list[Job]:
    """Return the jobs of all projects that wait for a slot and know their place, the next ones first."""
    has_place = col(Job.queue_position).is_not(None)
    query = select(Job).where(text(IS_WAITING), has_place)
    return list(session.exec(query.order_by(col(Job.queue_position), col(Job.id)).limit(limit)))
