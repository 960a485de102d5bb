"""Projects, new keys for them, and the account at the provider that works for them."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Function, func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from shared.db.claims import make_due
from shared.db.row_security import across_projects
from shared.db.times import utc_now
from shared.errors import Invalid, NotFound
from shared.projects.models import ApiKey, Credential, Organization, Project
from shared.projects.secret_format import ADMIN_PREFIX, PROJECT_PREFIX, hint_of, new_secret, sha256
from shared.settings import get_settings

NAME_LENGTH = 64


def the_organization(session: Session) -> Organization:
    """The one organization of this deployment, made by the first migration."""
    return session.exec(select(Organization)).one()


def create_project(session: Session, name: str) -> Project:
    project = Project(organization_id=the_organization(session).id, name=_name(name))
    session.add(project)
    session.flush()
    return project


def _name(given: str) -> str:
    name = given.strip()
    if not 0 < len(name) <= NAME_LENGTH:
        raise Invalid(f"A project's name has 1 to {NAME_LENGTH} characters", param="name")
    return name


def update_project(
    session: Session,
    project_id: str,
    *,
    name: str | None = None,
    weight: float | None = None,
    max_active_jobs: int | None = None,
) -> Project:
    """Change its name or its part in the queue; what is None stays, and 0 `max_active_jobs` is again the settings'."""
    project = get_active_project(session, project_id)
    if name is not None:
        project.name = _name(name)
    if weight is not None:
        if not 0.001 <= weight <= 1000:
            raise Invalid("A project's weight is from 0.001 to 1000", param="weight")
        project.weight = weight
    if max_active_jobs is not None:
        if not 0 <= max_active_jobs < 2**31:
            raise Invalid(
                "A project may have 1 active job or more; 0 takes its own limit away", param="max_active_jobs"
            )
        project.max_active_jobs = max_active_jobs or None
    session.add(project)
    return project


def create_api_key(
    session: Session,
    project_id: str | None,
    name: str,
    *,
    expires_at: datetime | None = None,
    scopes: Collection[str] = (),
    service_account_id: str | None = None,
) -> tuple[ApiKey, str]:
    """A key and its secret, which nobody can read again. Without a project it is an admin key.

    With `expires_at` it is refused from then on, and its project is told a week before. Without `scopes` it may do all
    that its kind may.
    """
    if expires_at is not None and expires_at <= utc_now():
        raise Invalid("A key's expiry must be in the future", param="expires_at")
    secret = new_secret(ADMIN_PREFIX if project_id is None else PROJECT_PREFIX)
    key = ApiKey(
        project_id=project_id,
        service_account_id=service_account_id,
        name=name,
        secret_sha256=sha256(secret),
        hint=hint_of(secret),
        expires_at=expires_at,
        scopes=sorted(set(scopes)),
    )
    session.add(key)
    return key, secret


def list_projects(session: Session, *, after: str | None, limit: int, include_archived: bool = False) -> list[Project]:
    """One more than `limit`, newest first."""
    query = select(Project).order_by(col(Project.id).desc()).limit(limit + 1)
    if not include_archived:
        query = query.where(col(Project.archived_at).is_(None))
    if after is not None:
        query = query.where(Project.id < get_project(session, after, param="after").id)
    return list(session.exec(query))


def get_project(session: Session, project_id: str, *, param: str = "project_id", again: bool = False) -> Project:
    """`again`: as it is now, whatever this transaction has seen of it before."""
    project = session.get(Project, project_id, populate_existing=again)
    if project is None:
        raise NotFound(f"No such project: {project_id}", param=param)
    return project


def get_active_project(session: Session, project_id: str) -> Project:
    """A project that is not archived, nor can be before this transaction has ended. Ask before you lock anything."""
    session.exec(select(func.pg_advisory_xact_lock_shared(_end_of(project_id))))
    project = get_project(session, project_id, again=True)
    if project.archived_at is not None:
        raise Invalid(f"{project_id} is archived: it cannot be used or changed any more", code="project_archived")
    return project


def archive_project(session: Session, project_id: str) -> Project:
    """Its keys are refused from now on, for good. Waits for who is at work in it. One of before keeps its time."""
    session.exec(select(func.pg_advisory_xact_lock(_end_of(project_id))))
    project = get_project(session, project_id, again=True)
    project.archived_at = project.archived_at or utc_now()
    return project


def _end_of(project_id: str) -> Function[int]:
    """A lock of its own: that of the row is taken by every insert of a row that belongs to it, in any order, and by
    every change of it, which must not wait until nobody creates a job."""
    return func.hashtextextended(f"end of {project_id}", 0)


def default_credential(session: Session) -> Credential:
    """The row of the account that the settings name. It is made when first needed."""
    provider = get_settings().provider
    of_nobody = col(Credential.project_id).is_(None)
    query = select(Credential).where(Credential.base_url == provider.base_url, of_nobody)
    credential = session.exec(query).one_or_none()
    if credential is None:
        new = Credential(provider=provider.name, base_url=provider.base_url, dialect=provider.dialect)
        with across_projects(session):
            session.exec(insert(Credential).values(**new.model_dump()).on_conflict_do_nothing())
            credential = session.exec(query).one()
            make_due(session, credential)
    return credential
