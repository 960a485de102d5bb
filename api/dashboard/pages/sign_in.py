"""Signing in with an API key or a link, signing out, and choosing the project of an admin key."""

from typing import Annotated

from fastapi import Form, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.auth import deps
from api.auth.deps import AdminDep, AdmittedDep, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.dashboard.rendering import page
from api.dashboard.session import cookie, links
from api.dashboard.session.middleware import MAX_WANTED, WANTED
from api.dashboard.view import AdminViewDep, redirect
from api.http.pages import DASHBOARD, ENTER, SIGN_IN, SIGN_IN_LINKS
from api.http.router import Router
from shared.projects import callers
from shared.projects import service as projects
from shared.projects.callers import AdminCaller

PROJECTS_PER_PAGE = 50
router = Router(include_in_schema=False)
for_admins = Router(prefix=f"{DASHBOARD}/projects", include_in_schema=False, dependencies=[admin_scope("projects")])
_Next = Annotated[str, Query(max_length=MAX_WANTED, alias="next")]


@router.get(SIGN_IN)
def sign_in_form(request: Request, wanted: _Next = DASHBOARD, reason: str = "") -> Response:
    """Ask for an API key."""
    return page(request, "sign_in.html", wanted=wanted, problem=REASONS.get(reason))


REASONS = {
    "ended": "You are signed out: the session is over, or its API key is no longer valid.",
    "signed-out": "You have signed out.",
}


@router.post(SIGN_IN)
async def sign_in(
    request: Request,
    key: Annotated[str, Form(max_length=512)],
    wanted: Annotated[str, Form(max_length=MAX_WANTED, alias="next")] = DASHBOARD,
) -> Response:
    """Sign in with an API key. A wrong one counts against the address, as in the API."""
    request.scope[WANTED] = wanted
    return await _begin(request, key.strip(), None, wanted)


@router.get(ENTER)
def show_sign_in_link(request: Request, code: Annotated[str, Query(max_length=200)]) -> Response:
    """Ask whether to sign in with a link. Previews open links too, and a link may be somebody else's."""
    return page(request, "enter.html", code=code)


@router.post(ENTER)
async def use_sign_in_link(request: Request, code: Annotated[str, Form(max_length=200)]) -> Response:
    """Sign in with a link, which works once."""
    secret, project_id = await run_in_threadpool(links.use, code)
    return await _begin(request, secret, project_id, DASHBOARD)


async def _begin(request: Request, secret: str, project_id: str | None, wanted: str) -> Response:
    caller = await deps.sign_in(request, secret)
    must_choose = isinstance(caller, AdminCaller) and project_id is None
    answer = redirect("/projects" if must_choose else _below_dashboard(wanted))
    cookie.keep(answer, request, cookie.Session.new(secret, project_id))
    return answer


def _below_dashboard(wanted: str) -> str:
    """Return the rest of an address of ours after `/dashboard`; nothing for any other, which could be elsewhere."""
    rest = wanted.removeprefix(DASHBOARD)
    is_ours = wanted.startswith(DASHBOARD) and rest[:1] in {"", "/", "?"} and "\\" not in rest
    return rest if is_ours and not rest.startswith("//") else ""


@router.post(f"{DASHBOARD}/sign-out")
def sign_out() -> Response:
    """End the session of this browser."""
    answer = redirect("/sign-in?reason=signed-out")
    cookie.drop(answer)
    return answer


@router.post(SIGN_IN_LINKS)
def create_sign_in_link(request: Request, caller: AdmittedDep, project_id: str | None = None) -> dict[str, str]:
    """Return a link that signs a browser in with the API key of this request, once, within ten minutes."""
    secret = request.headers["authorization"].split(" ", 1)[1]
    code = links.create(secret, project_id if isinstance(caller, AdminCaller) else None)
    return {"path": f"{ENTER}?code={code}"}


@for_admins.get("")
def list_projects(view: AdminViewDep, after: str | None = None) -> Response:
    """List the projects, to choose one."""
    rows = projects.list_projects(view.session, after=after, limit=PROJECTS_PER_PAGE)
    return view.page("projects.html", projects=rows[:PROJECTS_PER_PAGE], has_more=len(rows) > PROJECTS_PER_PAGE)


@for_admins.post("/choose")
def choose_project(
    request: Request, admin: AdminDep, session: OrganizationSessionDep, project_id: Annotated[str, Form(max_length=64)]
) -> Response:
    """Work in this project from now on."""
    callers.work_in(session, admin, project_id)
    answer = redirect("")
    cookie.keep(answer, request, request.scope[cookie.SCOPE].within(project_id))
    return answer
