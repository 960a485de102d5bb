"""`/v1/organization/projects/{project_id}/credentials`: a project's own accounts at providers."""

from typing import Annotated

from fastapi import Query

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.http.router import Router
from api.idempotency import IdempotentAdminRoute
from api.routes.organization import credential_test
from shared.db.pages import Page
from shared.deployments import ends
from shared.projects import credentials
from shared.projects.credential_schemas import (
    CredentialCreate,
    CredentialDeleted,
    CredentialPublic,
    CredentialTest,
    CredentialUpdate,
)

router = Router(
    prefix="/v1/organization/projects/{project_id}/credentials",
    tags=["Administration"],
    dependencies=[admin_scope("credentials")],
    route_class=IdempotentAdminRoute,
)


@router.post("", response_model=CredentialPublic)
def create_credential(session: OrganizationSessionDep, project_id: str, new: CredentialCreate) -> CredentialPublic:
    """Add a provider account to a project; its new jobs are sent there. The key is stored sealed and never shown again.

    Errors: 400 for a `base_url` that may not be called, or options that its dialect does not take.
    """
    return CredentialPublic.of(credentials.create(session, project_id, new))


@router.get("", response_model=Page[CredentialPublic])
def list_credentials(
    session: OrganizationSessionDep,
    project_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[CredentialPublic]:
    """List the project's credentials, newest first. A job uses the newest one that offers its model."""
    rows = credentials.list_all(session, project_id, after=after, limit=limit)
    return Page.of([CredentialPublic.of(row) for row in rows], limit)


@router.get("/{credential_id}", response_model=CredentialPublic)
def retrieve_credential(session: OrganizationSessionDep, project_id: str, credential_id: str) -> CredentialPublic:
    """Return a credential, with the provider's last answer to its key."""
    return CredentialPublic.of(credentials.get(session, project_id, credential_id))


@router.post("/{credential_id}", response_model=CredentialPublic)
def update_credential(
    session: OrganizationSessionDep, project_id: str, credential_id: str, new: CredentialUpdate
) -> CredentialPublic:
    """Change a credential's name, key, options or webhook secret. The next call uses them, also for running jobs.

    Errors: 400 `credential_in_use` for other options while a deployment needs those that it has.
    """
    return CredentialPublic.of(ends.update_credential(session, project_id, credential_id, new))


@router.delete("/{credential_id}", response_model=CredentialDeleted)
def delete_credential(session: OrganizationSessionDep, project_id: str, credential_id: str) -> CredentialDeleted:
    """Delete a credential and its key. Models tuned there can no longer be called.

    Errors: 400 while a job that has not ended uses it.
    """
    return CredentialDeleted(id=ends.delete_credential(session, project_id, credential_id).id)


@router.post("/{credential_id}/test", response_model=CredentialTest)
async def test_credential(project_id: str, credential_id: str) -> CredentialTest:
    """Request the provider's list of models, and return whether it accepts the key; if not, its error.

    Errors: 503 `worker_unavailable` if no worker is free.
    """
    return await credential_test.test_and_wait(project_id, credential_id)
