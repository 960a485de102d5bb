"""Projects, their keys, and the account at the provider that works for them."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, or_, select

from shared.errors import Forbidden, Invalid, NotFound, Unauthorized
from shared.projects.models import ApiKey, Credential, Organization, Project
from shared.settings import get_settings
from shared.tables import make_due, utc_now

NAME_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key a request came with, and which."""

    project_id: str
    organization_id: str
    key_id: str


def the_organization(session: Session) -> Organization:
    """The one organization of this deployment, made by the first migration."""
    return session.exec(select(Organization)).one()


def create_project(session: Session, name: str) -> Project:
    if not 0 < len(name.strip()) <= NAME_LENGTH:
        raise Invalid(f"A project's name has 1 to {NAME_LENGTH} characters", param="name")
    project = Project(organization_id=the_organization(session).id, name=name.strip())
    session.add(project)
    session.flush()
    return project


def update_project(
    session: Session, project_id: str, *, weight: float | None = None, max_active_jobs: int | None = None
) -> Project:
    """Change a project's part in the queue; what is None stays, and 0 `max_active_jobs` is again the settings' own."""
    project = get_project(session, project_id)
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
    session: Session, project_id: str | None, name: str, *, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A key and its secret, which nobody can read again. Without a project it is an admin key.

    With `expires_at` it is refused from then on, and its project is told a week before.
    """
    if expires_at is not None and expires_at <= utc_now():
        raise Invalid("A key's expiry must be in the future", param="expires_at")
    prefix = "sk-admin-tun-" if project_id is None else "sk-tun-"
    secret = prefix + secrets.token_urlsafe(32)
    hint = f"{prefix}{secret[len(prefix) :][:3]}…{secret[-4:]}"
    key = ApiKey(project_id=project_id, name=name, secret_sha256=_sha256(secret), hint=hint, expires_at=expires_at)
    session.add(key)
    return key, secret


def authenticate(session: Session, secret: str) -> Caller:
    """Whose secret this is. An admin key, a revoked one and an unknown one cannot act for a project."""
    key = _find_key(session, secret)
    if key.project_id is None:
        raise Forbidden("An admin key cannot act for a project: use one of the project's own API keys")
    return Caller(key.project_id, session.get_one(Project, key.project_id).organization_id, key.id)


def still_good(session: Session, secrets: Collection[str]) -> set[str]:
    """Those of these secrets whose keys are known, and neither revoked nor expired."""
    by_digest = {_sha256(secret): secret for secret in secrets}
    query = select(ApiKey.secret_sha256).where(
        col(ApiKey.secret_sha256).in_(by_digest),
        col(ApiKey.revoked_at).is_(None),
        or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > utc_now()),
    )
    return {by_digest[digest] for digest in session.exec(query)}


def authenticate_admin(session: Session, secret: str) -> None:
    """Refuse whatever is not an admin key."""
    if _find_key(session, secret).project_id is not None:
        raise Forbidden("This needs an admin key (OPENAI_ADMIN_KEY): a project's key cannot manage projects")


def _find_key(session: Session, secret: str) -> ApiKey:
    query = select(ApiKey).where(ApiKey.secret_sha256 == _sha256(secret), col(ApiKey.revoked_at).is_(None))
    key = session.exec(query).one_or_none()
    if key is None:
        raise Unauthorized("This API key is not known here: check OPENAI_API_KEY, or ask your operator for a key")
    if key.expires_at is not None and key.expires_at <= utc_now():
        raise Unauthorized("This API key has expired: ask your operator for a new one", code="api_key_expired")
    return key


def list_projects(session: Session, *, after: str | None, limit: int) -> list[Project]:
    """One more than `limit`, newest first."""
    query = select(Project).order_by(col(Project.id).desc()).limit(limit + 1)
    if after is not None:
        query = query.where(Project.id < get_project(session, after, param="after").id)
    return list(session.exec(query))


def get_project(session: Session, project_id: str, *, param: str = "project_id") -> Project:
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound(f"No such project: {project_id}", param=param)
    return project


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def default_credential(session: Session) -> Credential:
    """The row of the account that the settings name. It is made when first needed."""
    provider = get_settings().provider
    query = select(Credential).where(Credential.base_url == provider.base_url)
    credential = session.exec(query).one_or_none()
    if credential is None:
        new = Credential(provider=provider.name, base_url=provider.base_url)
        session.exec(insert(Credential).values(**new.model_dump()).on_conflict_do_nothing(index_elements=["base_url"]))
        credential = session.exec(query).one()
        make_due(session, credential)
    return credential


def base_models(session: Session) -> list[dict[str, Any]]:
    """The provider's models that may be tuned: each has `id`, `created`, `owned_by`, `shutdown_date`."""
    return default_credential(session).base_models
