"""Puts the dashboard into the application: its pages, its files, and the redirect from `/`."""

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse

from api.dashboard import static_files
from api.dashboard.error_pages import ErrorPageMiddleware
from api.dashboard.forms import FormRefused, show_refused
from api.dashboard.pages import (
    compare,
    datasets,
    deployments,
    elsewhere,
    job,
    jobs,
    models,
    new_job,
    playground,
    sign_in,
    start,
    uploads,
)
from api.dashboard.pages.operator import admin_keys, audit, state
from api.dashboard.pages.operator import projects as all_projects
from api.dashboard.pages.project import accounts, alerts, approvals, costs, keys, limits, money, own
from api.dashboard.pages.webhooks import deliveries, endpoints, events
from api.dashboard.session.middleware import SessionMiddleware
from api.http.pages import DASHBOARD
from shared.settings import get_settings

PAGES = (
    start,
    jobs,
    new_job,  # before the job of any id
    compare,  # as well
    job,
    elsewhere,
    playground,
    datasets,
    uploads,
    models,
    deployments,
    endpoints,
    deliveries,
    events,
    own,
    keys,
    accounts,
    costs,
    alerts,
    money,
    limits,
    approvals,
    state,
    all_projects,
    audit,
    admin_keys,
)
home = APIRouter(include_in_schema=False)


@home.get("/")
def to_dashboard(request: Request) -> RedirectResponse:
    """Send a browser to the dashboard. Any other client has mistaken the base URL, and is told so."""
    if "text/html" not in request.headers.get("accept", ""):
        raise HTTPException(404)
    return RedirectResponse(get_settings().root_path + DASHBOARD, status_code=303)


def add_dashboard(app: FastAPI) -> None:
    app.add_exception_handler(FormRefused, show_refused)
    for router in (home, static_files.router, sign_in.router, sign_in.for_admins):
        app.include_router(router)
    for router in (state.of_accounts, limits.of_projects):
        app.include_router(router)
    for module in PAGES:
        app.include_router(module.router)


def add_dashboard_middlewares(app: FastAPI) -> None:
    """Add what must be outside of the rate limits: a session becomes a key, and what refuses it becomes a page."""
    app.add_middleware(SessionMiddleware)
    app.add_middleware(ErrorPageMiddleware)
