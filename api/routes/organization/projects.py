"""`/v1/organization/projects`: the tenants of the deployment."""

from typing import Annotated

from fastapi import Query

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.http.router import Router
from api.idempotency import IdempotentAdminRoute
from shared.db.pages import Page
from shared.deployments.ends import archive_project as end_project
from shared.projects import model_permissions
from shared.projects import service as projects
from shared.projects.schemas import (
    ModelPermissionsDeleted,
    ModelPermissionsPublic,
    ModelPermissionsUpdate,
    ProjectCreate,
    ProjectPublic,
    ProjectUpdate,
)

router = Router(
    prefix="/v1/organization/projects",
    tags=["Administration"],
    dependencies=[admin_scope("projects")],
    route_class=IdempotentAdminRoute,
)


@router.post("", response_model=ProjectPublic)
def create_project(session: OrganizationSessionDep, new: ProjectCreate) -> ProjectPublic:
    """Create a project. It has no access to the data of other projects."""
    return ProjectPublic.of(projects.create_project(session, new.name))


@router.get("", response_model=Page[ProjectPublic])
def list_projects(
    session: OrganizationSessionDep,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    include_archived: bool = False,
) -> Page[ProjectPublic]:
    """List projects, newest first; archived ones only with `include_archived`."""
    rows = projects.list_projects(session, after=after, limit=limit, include_archived=include_archived)
    return Page.of([ProjectPublic.of(row) for row in rows], limit)


@router.get("/{project_id}", response_model=ProjectPublic)
def retrieve_project(session: OrganizationSessionDep, project_id: str) -> ProjectPublic:
    """Return a project."""
    return ProjectPublic.of(projects.get_project(session, project_id))


@router.post("/{project_id}", response_model=ProjectPublic)
def update_project(session: OrganizationSessionDep, project_id: str, new: ProjectUpdate) -> ProjectPublic:
    """Change a project's name, its share of the job queue or its quotas. Errors: 400 `project_archived`."""
    return ProjectPublic.of(projects.update_project(session, project_id, **new.model_dump(exclude_unset=True)))


@router.post("/{project_id}/archive", response_model=ProjectPublic)
def archive_project(session: OrganizationSessionDep, project_id: str) -> ProjectPublic:
    """Archive a project for good: its keys are refused and its unfinished jobs cancelled. Its data is kept."""
    return ProjectPublic.of(end_project(session, project_id))


@router.get("/{project_id}/model_permissions", response_model=ModelPermissionsPublic)
def retrieve_model_permissions(session: OrganizationSessionDep, project_id: str) -> ModelPermissionsPublic:
    """Return which models the project may use."""
    return ModelPermissionsPublic.of(projects.get_project(session, project_id))


@router.post("/{project_id}/model_permissions", response_model=ModelPermissionsPublic)
def update_model_permissions(
    session: OrganizationSessionDep, project_id: str, new: ModelPermissionsUpdate
) -> ModelPermissionsPublic:
    """Set which models new jobs and chats may use. A base model includes its snapshots and models tuned from it."""
    return ModelPermissionsPublic.of(model_permissions.permit_models(session, project_id, new.mode, new.model_ids))


@router.delete("/{project_id}/model_permissions", response_model=ModelPermissionsDeleted)
def delete_model_permissions(session: OrganizationSessionDep, project_id: str) -> ModelPermissionsDeleted:
    """Allow the project to use every model."""
    model_permissions.permit_all_models(session, project_id)
    return ModelPermissionsDeleted()
