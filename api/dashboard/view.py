"""What a page's route works with: the caller, a session limited to the project, and the templates.

A page declares its scope as a route of the API does, and calls the same services.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.auth.deps import CHOSEN_PROJECT, AdminDep, CallerDep, OrganizationSessionDep, SessionDep
from api.dashboard import rendering
from api.http.pages import DASHBOARD
from shared.database import transaction
from shared.projects import service as projects
from shared.projects.callers import Caller
from shared.projects.models import Project
from shared.settings import get_settings


def redirect(address: str) -> Response:
    """Send the browser to a page; `address` begins after `/dashboard`."""
    return RedirectResponse(f"{get_settings().root_path}{DASHBOARD}{address}", status_code=303)


@dataclass(frozen=True)
class AnyView:
    """`project` is shown in the head of the page; None before an operator has chosen one."""

    request: Request
    session: Session
    project: Project | None

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        return rendering.page(self.request, template, status=status, project=self.project, **values)

    def part(self, template: str, **values: Any) -> Response:
        """Answer with a part that htmx puts into the page."""
        return rendering.page(self.request, template, **values)

    @property
    def is_part(self) -> bool:
        """Whether htmx asks for a part of the page, not for all of it."""
        return "hx-request" in self.request.headers


@dataclass(frozen=True)
class View(AnyView):
    """A page of a project."""

    caller: Caller


def show(request: Request, caller: Caller, page: Callable[[View], Response]) -> Response:
    """Make a page in a transaction of its own: for a route that waits for something slow, and holds none meanwhile."""
    with transaction(caller.project_id) as session:
        return page(View(request, session, projects.get_project(session, caller.project_id), caller))


class AdminView(AnyView):
    """A page of the deployment, for admin keys. Its session sees the rows of all projects."""


def _view(request: Request, session: SessionDep, caller: CallerDep) -> View:
    return View(request, session, projects.get_project(session, caller.project_id), caller)


def _admin_view(request: Request, session: OrganizationSessionDep, _: AdminDep) -> AdminView:
    chosen = request.scope.get(CHOSEN_PROJECT)
    return AdminView(request, session, projects.get_project(session, chosen) if chosen else None)


ViewDep = Annotated[View, Depends(_view)]
AdminViewDep = Annotated[AdminView, Depends(_admin_view)]
