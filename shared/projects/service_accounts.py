"""Creates and deletes service accounts: the programs of a project, with their API keys."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session, col, select

from shared.db.owned import get_owned
from shared.db.times import utc_now
from shared.projects import service as projects
from shared.projects.keys import revoke
from shared.projects.models import ApiKey, ServiceAccount


def create_account(session: Session, project_id: str, name: str, *, role: str = "member") -> ServiceAccount:
    projects.get_active_project(session, project_id)
    account = ServiceAccount(project_id=project_id, name=name, role=role)
    session.add(account)
    session.flush()
    return account


def get_account(session: Session, project_id: str, account_id: str, *, lock: bool = False) -> ServiceAccount:
    return get_owned(session, ServiceAccount, account_id, project_id, param="service_account_id", lock=lock)


def create_account_key(
    session: Session,
    account: ServiceAccount,
    name: str,
    *,
    expires_at: datetime | None,
    scopes: Collection[str] = (),
    allowed_networks: Collection[str] = (),
) -> tuple[ApiKey, str]:
    """Create a key for a service account and return it with its secret, which cannot be read again."""
    projects.get_active_project(session, account.project_id)
    account.role = "member"
    return projects.create_api_key(
        session,
        account.project_id,
        name,
        expires_at=expires_at,
        scopes=scopes,
        allowed_networks=allowed_networks,
        service_account_id=account.id,
    )


def delete_account(session: Session, project_id: str, account_id: str) -> None:
    """Delete a service account and revoke its keys, which every server refuses within a second. Raises `NotFound`."""
    account = get_account(session, project_id, account_id, lock=True)
    account.deleted_at = utc_now()
    keys = select(ApiKey).where(ApiKey.service_account_id == account.id, col(ApiKey.revoked_at).is_(None))
    for key in session.exec(keys.order_by(ApiKey.id).with_for_update()):
        revoke(key)
