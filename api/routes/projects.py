"""`/v1/organization/projects`: tenants, managed with an admin key. The command `project create` makes their keys."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import After, OrganizationSessionDep
from api.idempotency import IdempotentAdminRoute
from api.scopes import admin_scope
from shared.pages import Page
from shared.projects import service as projects
from shared.projects.schemas import ProjectCreate, ProjectPublic

router = APIRouter(
    prefix="/v1/organization/projects",
    tags=["Administration"],
    dependencies=[admin_scope("projects")],
    route_class=IdempotentAdminRoute,
)


@router.post("", response_model=ProjectPublic)
def create_project(session: OrganizationSessionDep, new: ProjectCreate) -> ProjectPublic:
    """Make a project. It sees nothing of any other."""
    return ProjectPublic.of(projects.create_project(session, new.name))


@router.get("", response_model=Page[ProjectPublic])
def list_projects(
    session: OrganizationSessionDep, after: After = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> Page[ProjectPublic]:
    """All projects, newest first."""
    rows = projects.list_projects(session, after=after, limit=limit)
    return Page.of([ProjectPublic.of(row) for row in rows], limit)


@router.get("/{project_id}", response_model=ProjectPublic)
def retrieve_project(session: OrganizationSessionDep, project_id: str) -> ProjectPublic:
    """One project."""
    return ProjectPublic.of(projects.get_project(session, project_id))
