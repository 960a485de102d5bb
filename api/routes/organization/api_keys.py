"""`/v1/organization/projects/{project_id}/api_keys`: a project's keys. OpenAI's API cannot create one."""

from typing import Annotated, Literal

from fastapi import Query

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.http.router import Router
from api.idempotency import IdempotentAdminRoute
from shared.db.pages import Page
from shared.projects import keys
from shared.projects import service as projects
from shared.projects.key_schemas import (
    ApiKeyCreate,
    ApiKeyDeleted,
    ApiKeyPublic,
    ApiKeyUpdate,
    ApiKeyWithSecret,
    KeyRotate,
    expiry_after,
)

router = Router(
    prefix="/v1/organization",
    tags=["Administration"],
    dependencies=[admin_scope("projects")],
    route_class=IdempotentAdminRoute,
)


OF_PROJECT = "/projects/{project_id}/api_keys"


@router.get("/api_keys/{key_id}", response_model=ApiKeyPublic)
def find_api_key(session: OrganizationSessionDep, key_id: str) -> ApiKeyPublic:
    """Return a key of any project, revoked or not, for a caller who knows its id alone. OpenAI has no such call."""
    return keys.show(session, [keys.find_key(session, key_id, is_admin=False)])[0]


@router.post(OF_PROJECT, response_model=ApiKeyWithSecret)
def create_api_key(session: OrganizationSessionDep, project_id: str, new: ApiKeyCreate) -> ApiKeyWithSecret:
    """Create a key of the project itself. Its secret is in this response only. OpenAI has no such call."""
    projects.get_active_project(session, project_id)
    expires_at = expiry_after(new.expires_in_seconds)
    key, secret = projects.create_api_key(
        session,
        project_id,
        new.name,
        expires_at=expires_at,
        scopes=new.scopes,
        allowed_networks=new.allowed_networks,
    )
    return ApiKeyWithSecret(**keys.show(session, [key])[0].model_dump(), value=secret)


@router.get(OF_PROJECT, response_model=Page[ApiKeyPublic])
def list_api_keys(
    session: OrganizationSessionDep,
    project_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    owner_project_access: Literal["active", "inactive", "any"] = "any",
    include_revoked: bool = False,
) -> Page[ApiKeyPublic]:
    """List the project's keys, newest first, revoked ones only on request. Owners are always `active` here."""
    projects.get_project(session, project_id)
    if owner_project_access == "inactive":
        return Page.of([], limit)
    rows = keys.page_of_keys(session, project_id, after=after, limit=limit, include_revoked=include_revoked)
    return Page.of(keys.show(session, rows), limit)


@router.get(OF_PROJECT + "/{key_id}", response_model=ApiKeyPublic)
def retrieve_api_key(session: OrganizationSessionDep, project_id: str, key_id: str) -> ApiKeyPublic:
    """Return a key, without its secret."""
    return keys.show(session, [keys.get_key(session, project_id, key_id)])[0]


@router.post(OF_PROJECT + "/{key_id}", response_model=ApiKeyPublic)
def update_api_key(session: OrganizationSessionDep, project_id: str, key_id: str, new: ApiKeyUpdate) -> ApiKeyPublic:
    """Change a key's scopes, expiry or networks, within a second.

    Errors: 400 `api_key_expired` for a key that has expired.
    """
    expires_at = expiry_after(new.expires_in_seconds)
    key = keys.update_key(
        session,
        project_id,
        key_id,
        scopes=new.scopes,
        expires_at=expires_at,
        allowed_networks=new.allowed_networks,
    )
    return keys.show(session, [key])[0]


@router.post(OF_PROJECT + "/{key_id}/rotate_secret", response_model=ApiKeyWithSecret)
def rotate_api_key_secret(
    session: OrganizationSessionDep, project_id: str, key_id: str, rotate: KeyRotate | None = None
) -> ApiKeyWithSecret:
    """Give a key a new secret, which only this response has. OpenAI has no such endpoint.

    The old secret stays valid for `overlap_seconds`.
    """
    key = keys.get_key(session, project_id, key_id, lock=True)
    secret = keys.rotate_key(session, key, (rotate or KeyRotate()).overlap)
    return ApiKeyWithSecret(**keys.show(session, [key])[0].model_dump(), value=secret)


@router.delete(OF_PROJECT + "/{key_id}", response_model=ApiKeyDeleted)
def delete_api_key(session: OrganizationSessionDep, project_id: str, key_id: str) -> ApiKeyDeleted:
    """Revoke a key. Every server refuses it within a second."""
    keys.revoke(keys.get_key(session, project_id, key_id, lock=True))
    return ApiKeyDeleted(id=key_id)
