"""`/v1/project`: what a project's key reads of its own project."""

from api.auth.deps import CallerDep, SessionDep
from api.auth.scopes import scope
from api.http.router import Router
from shared.overview import own_project
from shared.overview.own_project import OwnProject

router = Router(tags=["Project"], dependencies=[scope("jobs")])


@router.get("/v1/project", response_model=OwnProject)
def retrieve_own_project(session: SessionDep, caller: CallerDep) -> OwnProject:
    """Return the project of this key: its limits, spend and usage this month, queue, models, rate limits and quotas.

    The numbers are those that an admin key reads of the project below `/v1/organization/projects/{project_id}`.
    """
    return own_project.show(session, caller)
