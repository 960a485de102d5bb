"""Lists what has failed in all projects: jobs, files and webhook deliveries."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from sqlmodel import Session, col, select

from shared.datasets.models import Dataset, DatasetStatus
from shared.db.pages import Listed
from shared.db.tables import Owned
from shared.db.times import epoch
from shared.errors import NotFound
from shared.jobs.models import Job, JobStatus
from shared.overview.all_projects import list_all
from shared.webhooks.models import DeliveryStatus, WebhookAttempt, WebhookDelivery

SUFFIX_LENGTH = 26  # of an id, without its prefix: it begins with the time at which the id was made


class FailureKind(StrEnum):
    JOB = "job"
    FILE = "file"
    DELIVERY = "webhook_delivery"


class Failure(Listed):
    """A job, a file or a delivery that has failed for good, by its id. `failed_at` is null for a file."""

    object: Literal["failure"] = "failure"
    kind: FailureKind
    project_id: str
    created_at: int
    failed_at: int | None
    code: str | None
    message: str | None


@dataclass(frozen=True)
class FailureFilter:
    """Which failures to list; None matches everything. `created` gives the conditions on the time for a table."""

    kinds: Collection[FailureKind] | None
    project_ids: Sequence[str] | None
    created: Callable[[type[Owned]], list[Any]]


_FAILED: dict[FailureKind, tuple[type[Owned], Any]] = {
    FailureKind.JOB: (Job, col(Job.status) == JobStatus.FAILED),
    FailureKind.FILE: (Dataset, col(Dataset.status) == DatasetStatus.ERROR),
    FailureKind.DELIVERY: (WebhookDelivery, col(WebhookDelivery.status) == DeliveryStatus.FAILED),
}


def list_failures(session: Session, wanted: FailureFilter, *, after: str | None, limit: int) -> list[Failure]:
    """Return up to `limit` + 1 failures, those of the newest objects first. Raises `NotFound` for an unknown `after`.

    Each table is read by its ids from `after` on: the parts of all ids behind the prefix sort by time.
    """
    if after is not None and not any(session.get(model, after) for model, _ in _FAILED.values()):
        raise NotFound(f"No such failure: {after}", param="after")
    rows: list[tuple[FailureKind, Any]] = []
    for kind, (model, has_failed) in _FAILED.items():
        if wanted.kinds is not None and kind not in wanted.kinds:
            continue
        where = [has_failed, *wanted.created(model)]
        if wanted.project_ids is not None:
            where.append(col(model.project_id).in_(wanted.project_ids))
        if after is not None:
            where.append(col(model.id) < model.id_prefix + after[-SUFFIX_LENGTH:])
        rows += [(kind, row) for row in list_all(session, model, *where, after=None, limit=limit)]
    rows.sort(key=lambda each: str(each[1].id)[-SUFFIX_LENGTH:], reverse=True)
    return _shown(session, rows[: limit + 1])


def _shown(session: Session, rows: Sequence[tuple[FailureKind, Any]]) -> list[Failure]:
    errors = _errors_of_attempts(session, [row.id for kind, row in rows if kind is FailureKind.DELIVERY])
    return [
        Failure(
            id=row.id,
            kind=kind,
            project_id=row.project_id,
            created_at=epoch(row.created_at),
            **_why(kind, row, errors),
        )
        for kind, row in rows
    ]


def _why(kind: FailureKind, row: Any, errors: dict[str, str | None]) -> dict[str, Any]:
    if kind is FailureKind.FILE:
        return {"failed_at": None, "code": row.error_code, "message": row.status_details}
    failed_at = epoch(row.finished_at) if row.finished_at else None
    if kind is FailureKind.JOB:
        error = row.error or {}
        return {"failed_at": failed_at, "code": error.get("code"), "message": error.get("message")}
    return {"failed_at": failed_at, "code": row.failure_reason, "message": errors.get(row.id)}


def _errors_of_attempts(session: Session, delivery_ids: Sequence[str]) -> dict[str, str | None]:
    """Return, by the id of a delivery, why its last attempt failed."""
    query = select(WebhookAttempt.delivery_id, WebhookAttempt.error)
    query = query.where(col(WebhookAttempt.delivery_id).in_(delivery_ids)).order_by(WebhookAttempt.id)
    return dict(session.exec(query).all())
