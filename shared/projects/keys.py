"""A project's API keys, as an operator looks after them."""

from sqlmodel import Session, col, select

from shared.errors import NotFound
from shared.projects import service as projects
from shared.projects.models import ApiKey
from shared.tables import utc_now


def list_api_keys(session: Session, project_id: str) -> list[ApiKey]:
    """All that a project ever had, newest first."""
    projects.get_project(session, project_id)
    keys = select(ApiKey).where(ApiKey.project_id == project_id).order_by(col(ApiKey.id).desc())
    return list(session.exec(keys))


def revoke_api_key(session: Session, key_id: str) -> ApiKey:
    """Every server refuses it within a second. One that was revoked before keeps its time."""
    key = session.get(ApiKey, key_id, with_for_update=True)
    if key is None:
        raise NotFound(f"No such API key: {key_id}", param="key_id")
    key.revoked_at = key.revoked_at or utc_now()
    return key
