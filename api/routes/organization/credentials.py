"""`/v1/organization/projects/{project_id}/credentials`: a project's own accounts at providers, with an admin key."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.idempotency import IdempotentAdminRoute
from api.routes.organization import credential_test
from shared.db.pages import Page
from shared.jobs import credential_use
from shared.projects import credentials
from shared.projects.credential_schemas import (
    CredentialCreate,
    CredentialDeleted,
    CredentialPublic,
    CredentialTest,
    CredentialUpdate,
)

router = APIRouter(
    prefix="/v1/organization/projects/{project_id}/credentials",
    tags=["Administration"],
    dependencies=[admin_scope("credentials")],
    route_class=IdempotentAdminRoute,
)


@router.post("", response_model=CredentialPublic)
def create_credential(session: OrganizationSessionDep, project_id: str, new: CredentialCreate) -> CredentialPublic:
    """Give a project an account of its own: its new jobs go there. The key is sealed, and never shown again."""
    return CredentialPublic.of(credentials.create(session, project_id, new))


@router.get("", response_model=Page[CredentialPublic])
def list_credentials(
    session: OrganizationSessionDep,
    project_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[CredentialPublic]:
    """The project's accounts, newest first. Of several, the newest that has a job's model takes the job."""
    rows = credentials.list_all(session, project_id, after=after, limit=limit)
    return Page.of([CredentialPublic.of(row) for row in rows], limit)


@router.get("/{credential_id}", response_model=CredentialPublic)
def retrieve_credential(session: OrganizationSessionDep, project_id: str, credential_id: str) -> CredentialPublic:
    """One account, and how its provider answered last."""
    return CredentialPublic.of(credentials.get(session, project_id, credential_id))


@router.post("/{credential_id}", response_model=CredentialPublic)
def update_credential(
    session: OrganizationSessionDep, project_id: str, credential_id: str, new: CredentialUpdate
) -> CredentialPublic:
    """Change its name, its key or its webhook secret. A new key counts from the next call on, for running jobs too."""
    return CredentialPublic.of(credentials.update(session, project_id, credential_id, new))


@router.delete("/{credential_id}", response_model=CredentialDeleted)
def delete_credential(session: OrganizationSessionDep, project_id: str, credential_id: str) -> CredentialDeleted:
    """Delete it with its key, once no active job needs it. Models tuned there cannot be called any more."""
    return CredentialDeleted(id=credential_use.delete_credential(session, project_id, credential_id).id)


@router.post("/{credential_id}/test", response_model=CredentialTest)
async def test_credential(project_id: str, credential_id: str) -> CredentialTest:
    """Ask the provider for its models, and tell whether it knows the key or what it said."""
    return await credential_test.ask_and_wait(project_id, credential_id)
