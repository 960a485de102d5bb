"""What an operator asks of a deployment: bring its schema up to date, make a project."""

import time
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

from shared.database import get_engine, transaction
from shared.key_rotation.startup_check import check_keys
from shared.migrations import migrate, newest_revision
from shared.projects import service as projects
from shared.projects.models import Project


@dataclass(frozen=True)
class Created:
    """A new project, with its first key in clear."""

    id: str
    secret: str


def migrate_when_reachable(patience: float) -> str:
    """Migrates, and tells the revision. A database that does not answer yet is asked again for `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            get_engine().connect().close()
            break
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    migrate()
    check_keys()
    return f"The database is at revision {newest_revision()}."


def all_projects(*, include_archived: bool) -> list[Project]:
    """Newest first."""
    found: list[Project] = []
    with transaction() as session:
        while True:
            after = found[-1].id if found else None
            page = projects.list_projects(session, after=after, limit=100, include_archived=include_archived)
            found += page[:100]
            if len(page) <= 100:
                return found


def update_project(project_id: str, weight: float | None, max_active_jobs: int | None, name: str | None = None) -> str:
    """Changes what is named, and tells how the project stands now."""
    with transaction() as session:
        project = projects.update_project(
            session, project_id, name=name, weight=weight, max_active_jobs=max_active_jobs
        )
        most = project.max_active_jobs or "as the settings say"
        return f"{project.name}: weight {project.weight:g}, active jobs of one model at most: {most}."


def create_project_with_key(name: str) -> Created:
    with transaction() as session:
        project = projects.create_project(session, name)
        _, secret = projects.create_api_key(session, project.id, "first")
        return Created(project.id, secret)
