"""Says which jobs still need what they name: their files, and the model that they tune further."""

from sqlalchemy import ColumnElement, and_
from sqlmodel import Session, col, or_, select

from shared.datasets.models import Dataset
from shared.jobs.models import Job, JobRequest, JobStatus


def needs_what_it_names() -> ColumnElement[bool]:
    """True for a job that the provider has yet to take up, unless it is to be cancelled: then it is never created."""
    status, is_ours = col(Job.status), col(Job.provider_job_id).is_(None)
    return and_(
        or_(
            status.in_([JobStatus.VALIDATING_FILES, JobStatus.QUEUED]),
            and_(status == JobStatus.PAUSED, is_ours),
        ),
        col(Job.request).is_distinct_from(JobRequest.CANCEL),
    )


def names_file(dataset_id: str) -> ColumnElement[bool]:
    return or_(col(Job.training_file) == dataset_id, col(Job.validation_file) == dataset_id)


def names_part_of(project_id: str, dataset_id: str) -> ColumnElement[bool]:
    """True for a job whose file is still to be cut off this dataset."""
    is_part = Dataset.project_id == project_id, Dataset.split_of == dataset_id
    parts = select(Dataset.id).where(*is_part, Dataset.sha256 == "")
    return or_(col(Job.training_file).in_(parts), col(Job.validation_file).in_(parts))


def first_that_needs(session: Session, project_id: str, *where: ColumnElement[bool] | bool) -> str | None:
    """Return the id of a job of the project that needs what `where` says that it names."""
    query = select(Job.id).where(Job.project_id == project_id, needs_what_it_names(), *where)
    return session.exec(query.order_by(Job.id).limit(1)).first()
