"""`/v1/organization/admin_api_keys`: the keys that may administer the deployment."""

from typing import Annotated, Literal

from fastapi import Query

from api.auth.deps import AdminDep, After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.http.router import Router
from api.idempotency import IdempotentAdminRoute
from shared.db.pages import Page
from shared.projects import keys
from shared.projects import service as projects
from shared.projects.key_schemas import (
    AdminKeyCreate,
    AdminKeyDeleted,
    AdminKeyPublic,
    AdminKeyUpdate,
    AdminKeyWithSecret,
    KeyRotate,
    expiry_after,
)

router = Router(
    prefix="/v1/organization/admin_api_keys",
    tags=["Administration"],
    dependencies=[admin_scope("admin_api_keys")],
    route_class=IdempotentAdminRoute,
)


@router.post("", response_model=AdminKeyWithSecret)
def create_admin_api_key(session: OrganizationSessionDep, admin: AdminDep, new: AdminKeyCreate) -> AdminKeyWithSecret:
    """Create an admin key; only this response has its secret. Errors: 403 for scopes that the caller does not have."""
    keys.check_may_grant(admin, new.scopes)
    key, secret = projects.create_api_key(
        session,
        None,
        new.name,
        expires_at=expiry_after(new.expires_in_seconds),
        scopes=new.scopes,
        allowed_networks=new.allowed_networks,
    )
    return AdminKeyWithSecret(**AdminKeyPublic.of(key).model_dump(), value=secret)


@router.get("", response_model=Page[AdminKeyPublic])
def list_admin_api_keys(
    session: OrganizationSessionDep,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "asc",
) -> Page[AdminKeyPublic]:
    """List the admin keys that are not revoked, oldest first unless `order` is `desc`."""
    rows = keys.page_of_keys(session, None, after=after, limit=limit, ascending=order == "asc")
    return Page.of([AdminKeyPublic.of(row) for row in rows], limit)


@router.get("/{key_id}", response_model=AdminKeyPublic)
def retrieve_admin_api_key(session: OrganizationSessionDep, key_id: str) -> AdminKeyPublic:
    """Return an admin key, without its secret."""
    return AdminKeyPublic.of(keys.get_key(session, None, key_id))


@router.post("/{key_id}", response_model=AdminKeyPublic)
def update_admin_api_key(
    session: OrganizationSessionDep, admin: AdminDep, key_id: str, new: AdminKeyUpdate
) -> AdminKeyPublic:
    """Change from which networks an admin key may be used, within a second. OpenAI has no such endpoint.

    Errors: 403 for a key with more scopes than its own. If you have locked yourself out: `tunery admin-key update`.
    """
    keys.check_may_grant(admin, keys.get_key(session, None, key_id).scopes)
    return AdminKeyPublic.of(keys.bind_admin_key(session, key_id, new.allowed_networks))


@router.post("/{key_id}/rotate_secret", response_model=AdminKeyWithSecret)
def rotate_admin_api_key_secret(
    session: OrganizationSessionDep, admin: AdminDep, key_id: str, rotate: KeyRotate | None = None
) -> AdminKeyWithSecret:
    """Give an admin key a new secret, which only this response has. The old one stays valid for `overlap_seconds`."""
    key = keys.get_key(session, None, key_id, lock=True)
    keys.check_may_grant(admin, key.scopes)
    secret = keys.rotate_key(session, key, (rotate or KeyRotate()).overlap)
    return AdminKeyWithSecret(**AdminKeyPublic.of(key).model_dump(), value=secret)


@router.delete("/{key_id}", response_model=AdminKeyDeleted)
def delete_admin_api_key(session: OrganizationSessionDep, admin: AdminDep, key_id: str) -> AdminKeyDeleted:
    """Revoke an admin key. Errors: 400 `last_admin_key` for the last one with all scopes: create another one first."""
    keys.delete_admin_key(session, admin, key_id)
    return AdminKeyDeleted(id=key_id)
