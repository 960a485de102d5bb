"""Lists, changes, rotates and revokes API keys: a project's, and admin keys, which have no project."""

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


def page_of_keys(
    session: Session,
    project_id: str | None,
    *,
    after: str | None,
    limit: int,
    ascending: bool = False,
    include_revoked: bool = False,
) -> list[ApiKey]:
    """Return up to `limit` + 1 keys of a project, or with None admin keys, newest first unless `ascending`.

    Raises `NotFound` for an `after` that is no key of it.
    """
    query = select(ApiKey).where(ApiKey.project_id == project_id).limit(limit + 1)
    if not include_revoked:
        query = query.where(col(ApiKey.revoked_at).is_(None))
    if after is not None:
        known = select(ApiKey.id).where(ApiKey.id == after, ApiKey.project_id == project_id)
        if session.exec(known).one_or_none() is None:
            raise NotFound(f"No such API key: {after}", param="after")
        query = query.where(ApiKey.id > after if ascending else ApiKey.id < after)
    return list(session.exec(query.order_by(col(ApiKey.id).asc() if ascending else col(ApiKey.id).desc())))


def get_key(session: Session, project_id: str | None, key_id: str, *, lock: bool = False) -> ApiKey:
    """Raises `NotFound`, also for a revoked key."""
    query = select(ApiKey).where(ApiKey.id == key_id, ApiKey.project_id == project_id, col(ApiKey.revoked_at).is_(None))
    key = session.exec(query.with_for_update() if lock else query).one_or_none()
    if key is None:
        raise NotFound(f"No such API key: {key_id}", param="key_id")
    return key


def show(session: Session, keys: Sequence[ApiKey]) -> list[ApiKeyPublic]:
    """Return project keys as responses, with their service accounts."""
    ids = {key.service_account_id for key in keys if key.service_account_id}
    accounts: dict[str, ServiceAccount] = {}
    if ids:
        found = session.exec(select(ServiceAccount).where(col(ServiceAccount.id).in_(ids)))
        accounts = {account.id: account for account in found}
    return [ApiKeyPublic.of(key, accounts.get(key.service_account_id or "")) for key in keys]


def update_key(
    session: Session,
    project_id: str,
    key_id: str,
    *,
    scopes: Collection[str] | None,
    expires_at: datetime | None,
    allowed_networks: Collection[str] | None,
) -> ApiKey:
    """Change what is not None; empty scopes mean all, empty networks everywhere.

    A new expiry is notified again before it comes. Raises `NotFound`, and `Invalid` for a key that has expired.
    """
    projects.get_active_project(session, project_id)
    key = get_key(session, project_id, key_id, lock=True)
    _check_valid(key)
    if scopes is not None:
        key.scopes = sorted(set(scopes))
    if expires_at is not None:
        key.expires_at, key.expiry_notified_at = expires_at, None
    if allowed_networks is not None:
        key.allowed_networks = sorted(set(allowed_networks))
    return key


def _check_valid(key: ApiKey) -> None:
    if key.revoked_at is not None:
        raise Invalid(f"{key.id} is revoked: make a new key", param="key_id")
    if key.expires_at is not None and key.expires_at <= utc_now():
        raise Invalid(f"{key.id} has expired: make a new key", code="api_key_expired", param="key_id")


def bind_admin_key(session: Session, key_id: str, allowed_networks: Collection[str]) -> ApiKey:
    """Let an admin key be used from these networks alone; from everywhere if there are none. Raises `NotFound`."""
    key = find_key(session, key_id, is_admin=True, lock=True)
    _check_valid(key)
    key.allowed_networks = sorted(set(allowed_networks))
    return key


def rotate_key(session: Session, key: ApiKey, overlap: timedelta) -> str:
    """Give the key a new secret and return it. The old secret stays valid for `overlap`.

    A key has at most two valid secrets: one that an earlier rotation left valid stops working now.
    """
    _check_valid(key)
    secret = new_secret(ADMIN_PREFIX if key.project_id is None else PROJECT_PREFIX)
    keep_previous = overlap > timedelta(0)
    key.previous_sha256 = key.secret_sha256 if keep_previous else None
    key.previous_until = utc_now() + overlap if keep_previous else None
    key.secret_sha256, key.hint = sha256(secret), hint_of(secret)
    return secret


def revoke(key: ApiKey) -> None:
    """Every server refuses the key within a second. A key that is revoked already keeps its time."""
    key.revoked_at = key.revoked_at or utc_now()


def find_key(session: Session, key_id: str, *, is_admin: bool, lock: bool = False) -> ApiKey:
    """Return an admin key, or a key of any project, revoked or not. Raises `NotFound`."""
    owner = col(ApiKey.project_id)
    query = select(ApiKey).where(ApiKey.id == key_id, owner.is_(None) if is_admin else owner.is_not(None))
    key = session.exec(query.with_for_update() if lock else query).one_or_none()
    if key is None:
        raise NotFound(f"No such API key: {key_id}", param="key_id")
    return key


def check_may_grant(admin: AdminCaller, scopes: Collection[str]) -> None:
    """Raises `Forbidden` unless the admin has all these scopes itself."""
    if not may_grant(admin.scopes, scopes):
        raise Forbidden("An admin key cannot grant scopes that it does not have: name only its own", param="scopes")


def delete_admin_key(session: Session, admin: AdminCaller, key_id: str) -> None:
    """Revoke an admin key. Raises `NotFound`, or `Forbidden` for a key with more scopes than the caller's.

    Raises `Invalid` for the last key with all scopes: after that, only the command line could make another one.
    """
    key = get_key(session, None, key_id)
    check_may_grant(admin, key.scopes)
    valid = select(ApiKey).where(
        col(ApiKey.project_id).is_(None),
        col(ApiKey.revoked_at).is_(None),
        or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > utc_now()),
    )
    # Locks all of them, so that two requests cannot delete the last two keys at the same time.
    others = session.exec(valid.order_by(ApiKey.id).with_for_update()).all()
    if not any(not other.scopes or "admin:*" in other.scopes for other in others if other.id != key.id):
        raise Invalid(
            f"{key.id} is the last admin key with all scopes: create another one before you delete it",
            code="last_admin_key",
            param="key_id",
        )
    revoke(get_key(session, None, key_id, lock=True))
