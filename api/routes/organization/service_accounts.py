"""`/v1/organization/projects/{project_id}/service_accounts`: the programs of a project, and new API keys for them."""

from typing import Annotated

from fastapi import Query

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.http.router import Router
from api.idempotency import IdempotentAdminRoute
from shared.db.owned import list_owned
from shared.db.pages import Page
from shared.errors import Invalid
from shared.projects import service as projects
from shared.projects import service_accounts as accounts
from shared.projects.key_schemas import (
    AccountKeyWithSecret,
    ApiKeyCreate,
    ServiceAccountCreate,
    ServiceAccountDeleted,
    ServiceAccountPublic,
    ServiceAccountUpdate,
    ServiceAccountWithKey,
    expiry_after,
)
from shared.projects.models import ServiceAccount

router = Router(
    prefix="/v1/organization/projects/{project_id}/service_accounts",
    tags=["Administration"],
    dependencies=[admin_scope("projects")],
    route_class=IdempotentAdminRoute,
)


@router.post("", response_model=ServiceAccountWithKey)
def create_service_account(
    session: OrganizationSessionDep, project_id: str, new: ServiceAccountCreate
) -> ServiceAccountWithKey:
    """Create a service account with an API key, whose secret only this response has.

    With `create_service_account_only` it gets no key.
    """
    if new.create_service_account_only:
        if new.expires_in_seconds is not None:
            raise Invalid("An account without a key has no expiry: leave it out", param="expires_in_seconds")
        account = accounts.create_account(session, project_id, new.name, role="none")
        return ServiceAccountWithKey(**ServiceAccountPublic.of(account).model_dump(), api_key=None)
    account = accounts.create_account(session, project_id, new.name)
    key, secret = accounts.create_account_key(
        session, account, "Secret Key", expires_at=expiry_after(new.expires_in_seconds)
    )
    shown = AccountKeyWithSecret.of(key, secret)
    return ServiceAccountWithKey(**ServiceAccountPublic.of(account).model_dump(), api_key=shown)


@router.get("", response_model=Page[ServiceAccountPublic])
def list_service_accounts(
    session: OrganizationSessionDep,
    project_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[ServiceAccountPublic]:
    """List the project's service accounts, newest first."""
    projects.get_project(session, project_id)
    rows = list_owned(session, ServiceAccount, project_id, after=after, limit=limit)
    return Page.of([ServiceAccountPublic.of(row) for row in rows], limit)


@router.get("/{service_account_id}", response_model=ServiceAccountPublic)
def retrieve_service_account(
    session: OrganizationSessionDep, project_id: str, service_account_id: str
) -> ServiceAccountPublic:
    """Return a service account."""
    return ServiceAccountPublic.of(accounts.get_account(session, project_id, service_account_id))


@router.post("/{service_account_id}", response_model=ServiceAccountPublic)
def update_service_account(
    session: OrganizationSessionDep, project_id: str, service_account_id: str, new: ServiceAccountUpdate
) -> ServiceAccountPublic:
    """Change a service account's name, or its role from `none` to `member`."""
    account = accounts.get_account(session, project_id, service_account_id, lock=True)
    account.name, account.role = new.name or account.name, new.role or account.role
    return ServiceAccountPublic.of(account)


@router.delete("/{service_account_id}", response_model=ServiceAccountDeleted)
def delete_service_account(
    session: OrganizationSessionDep, project_id: str, service_account_id: str
) -> ServiceAccountDeleted:
    """Delete a service account and revoke its keys."""
    accounts.delete_account(session, project_id, service_account_id)
    return ServiceAccountDeleted(id=service_account_id)


@router.post("/{service_account_id}/api_keys", response_model=AccountKeyWithSecret)
def create_service_account_api_key(
    session: OrganizationSessionDep, project_id: str, service_account_id: str, new: ApiKeyCreate
) -> AccountKeyWithSecret:
    """Create another API key for a service account; only this response has its secret."""
    account = accounts.get_account(session, project_id, service_account_id, lock=True)
    expires_at = expiry_after(new.expires_in_seconds)
    key, secret = accounts.create_account_key(
        session,
        account,
        new.name,
        expires_at=expires_at,
        scopes=new.scopes,
        allowed_networks=new.allowed_networks,
    )
    return AccountKeyWithSecret.of(key, secret)
