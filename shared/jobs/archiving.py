"""Archives a project and cancels its jobs: without valid keys nobody could read their results."""

from sqlalchemy import text
from sqlmodel import Session, select

from shared.jobs import service as jobs
from shared.jobs.models import IS_OPEN, Job, JobRequest
from shared.projects import service as projects
from shared.projects.models import Project


def archive_project(session: Session, project_id: str) -> Project:
    """Archive the project and request a cancel of each job that has not ended. Raises `NotFound`."""
    project = projects.archive_project(session, project_id)
    unfinished = select(Job.id).where(Job.project_id == project.id, text(IS_OPEN)).order_by(Job.id)
    for job_id in session.exec(unfinished.with_for_update(key_share=True)).all():
        jobs.make_request(session, project.id, job_id, JobRequest.CANCEL)
    return project
