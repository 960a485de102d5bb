"""Shows a dataset together with the jobs that used it, to the API and in the events about its check."""

from sqlmodel import Session, col, select

from shared.datasets import collection
from shared.datasets.models import Dataset, DatasetStatus
from shared.datasets.views import DatasetPublic
from shared.jobs.models import Job
from shared.jobs.waiting import names_file
from shared.notifications import events
from shared.webhooks.event_types import EventType


def show(session: Session, dataset: Dataset) -> DatasetPublic:
    """Return a dataset with its statistics, its parts, and the newest 100 jobs that used it."""
    public = collection.show(session, dataset)
    public.jobs = _ids_using(session, dataset.project_id, dataset.id)
    return public


def notify_checked(session: Session, dataset: Dataset) -> None:
    """Emit the event that the check has ended; none for a dataset that was deleted meanwhile."""
    if dataset.deleted_at is None:
        is_good = dataset.status is DatasetStatus.PROCESSED
        type = EventType.DATASET_PROCESSED if is_good else EventType.DATASET_FAILED
        events.emit(session, dataset.project_id, type, show(session, dataset).model_dump(mode="json"))


def _ids_using(session: Session, project_id: str, dataset_id: str) -> list[str]:
    """Return the ids of the newest 100 jobs that use this dataset for training or validation."""
    query = select(Job.id).where(Job.project_id == project_id, names_file(dataset_id)).order_by(col(Job.id).desc())
    return list(session.exec(query.limit(100)))
