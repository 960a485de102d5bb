"""API keys, as an operator looks after them: a project's, and the deployment's own, which have no project."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, or_, select

from shared.db.times import utc_now
from shared.errors import Forbidden, Invalid, NotFound
from shared.projects import service as projects
from shared.projects.callers import AdminCaller
from shared.projects.key_schemas import ApiKeyPublic
from shared.projects.models import ApiKey, ServiceAccount
from shared.projects.scopes import may_grant
from shared.projects.secret_format import ADMIN_PREFIX, PROJECT_PREFIX, hint_of, new_secret, sha256


def list_api_keys(session: Session, project_id: str | None) -> list[ApiKey]:
    """All that a project, or with None the deployment, ever had, newest first."""
    if project_id is not None:
        projects.get_project(session, project_id)
    keys = select(ApiKey).where(ApiKey.project_id == project_id).order_by(col(ApiKey.id).desc())
    return list(session.exec(keys))


def page_of_keys(
    session: Session, project_id: str | None, *, after: str | None, limit: int, ascending: bool = False
) -> list[ApiKey]:
    """One more than `limit` of those that are not revoked, newest first unless `ascending`."""
    query = select(ApiKey).where(ApiKey.project_id == project_id, col(ApiKey.revoked_at).is_(None)).limit(limit + 1)
    if after is not None:
        known = select(ApiKey.id).where(ApiKey.id == after, ApiKey.project_id == project_id)
        if session.exec(known).one_or_none() is None:
            raise NotFound(f"No such API key: {after}", param="after")
        query = query.where(ApiKey.id > after if ascending else ApiKey.id < after)
    return list(session.exec(query.order_by(col(ApiKey.id).asc() if ascending else col(ApiKey.id).desc())))


def get_key(session: Session, project_id: str | None, key_id: str, *, lock: bool = False) -> ApiKey:
    """One that is not revoked."""
    query = select(ApiKey).where(ApiKey.id == key_id, ApiKey.project_id == project_id, col(ApiKey.revoked_at).is_(None))
    key = session.exec(query.with_for_update() if lock else query).one_or_none()
    if key is None:
        raise NotFound(f"No such API key: {key_id}", param="key_id")
    return key


def show(session: Session, keys: Sequence[ApiKey]) -> list[ApiKeyPublic]:
    """Keys of projects, with the service accounts that they belong to."""
    ids = {key.service_account_id for key in keys if key.service_account_id}
    accounts: dict[str, ServiceAccount] = {}
    if ids:
        found = session.exec(select(ServiceAccount).where(col(ServiceAccount.id).in_(ids)))
        accounts = {account.id: account for account in found}
    return [ApiKeyPublic.of(key, accounts.get(key.service_account_id or "")) for key in keys]


def update_key(
    session: Session, project_id: str, key_id: str, *, scopes: Collection[str] | None, expires_at: datetime | None
) -> ApiKey:
    """Change what is not None. No scopes are all; a new expiry is told of anew."""
    projects.get_active_project(session, project_id)
    key = get_key(session, project_id, key_id, lock=True)
    _check_alive(key)
    if scopes is not None:
        key.scopes = sorted(set(scopes))
    if expires_at is not None:
        key.expires_at, key.expiry_notified_at = expires_at, None
    return key


def _check_alive(key: ApiKey) -> None:
    if key.revoked_at is not None:
        raise Invalid(f"{key.id} is revoked: make a new key", param="key_id")
    if key.expires_at is not None and key.expires_at <= utc_now():
        raise Invalid(f"{key.id} has expired: make a new key", code="api_key_expired", param="key_id")


def rotate_key(session: Session, key: ApiKey, overlap: timedelta) -> str:
    """A new secret for the same key, not shown again. The old one is good for as long as `overlap`.

    One that was still good from an earlier rotation is not any more: a key has two secrets at most.
    """
    _check_alive(key)
    secret = new_secret(ADMIN_PREFIX if key.project_id is None else PROJECT_PREFIX)
    is_kept = overlap > timedelta(0)
    key.previous_sha256 = key.secret_sha256 if is_kept else None
    key.previous_until = utc_now() + overlap if is_kept else None
    key.secret_sha256, key.hint = sha256(secret), hint_of(secret)
    return secret


def revoke(key: ApiKey) -> None:
    """Every server refuses it within a second. One that was revoked before keeps its time."""
    key.revoked_at = key.revoked_at or utc_now()


def find_key(session: Session, key_id: str, *, even_if_archived: bool = False) -> ApiKey:
    """Whosesoever it is, revoked or not, for an operator at the database."""
    project_id = session.exec(select(ApiKey.project_id).where(ApiKey.id == key_id)).one_or_none()
    if project_id is not None and not even_if_archived:
        projects.get_active_project(session, project_id)
    key = session.get(ApiKey, key_id, with_for_update=True)
    if key is None:
        raise NotFound(f"No such API key: {key_id}", param="key_id")
    return key


def check_may_grant(admin: AdminCaller, scopes: Collection[str]) -> None:
    """An admin key hands out no more than it has."""
    if not may_grant(admin.scopes, scopes):
        raise Forbidden("An admin key cannot give more than it has: name some of its own scopes", param="scopes")


def delete_admin_key(session: Session, admin: AdminCaller, key_id: str) -> None:
    """Refused for a key that may more than the caller's, and for the last one that may do everything: without that,
    only the command line could."""
    key = get_key(session, None, key_id)
    check_may_grant(admin, key.scopes)
    alive = select(ApiKey).where(
        col(ApiKey.project_id).is_(None),
        col(ApiKey.revoked_at).is_(None),
        or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > utc_now()),
    )
    others = session.exec(alive.order_by(ApiKey.id).with_for_update()).all()
    if not any(not other.scopes or "admin:*" in other.scopes for other in others if other.id != key.id):
        raise Invalid(
            f"{key.id} is the last admin key that may do everything: make another one before you delete it",
            code="last_admin_key",
            param="key_id",
        )
    revoke(get_key(session, None, key_id, lock=True))
