"""A project's share of the queue, its rates and its quotas, as an operator sets them."""

from typing import Any

from starlette.responses import Response

from api.auth.scopes import admin_scope
from api.dashboard.forms import Form, FormDep, shown_again
from api.dashboard.pages.project.shown import OF_PROJECT, ProjectRoute, admin_calls, project_page
from api.dashboard.view import AdminView, AdminViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.overview.quotas import quotas_of
from shared.projects import credentials, rate_limits
from shared.projects import service as projects
from shared.projects.quotas import ProjectQuotas
from shared.projects.rate_limits import RateLimitPublic, RateLimitUpdate
from shared.projects.schemas import ProjectPublic, ProjectUpdate

of_projects = Router(
    prefix=f"{DASHBOARD}{OF_PROJECT}/quotas",
    include_in_schema=False,
    dependencies=[admin_scope("projects")],
    route_class=ProjectRoute,
)
router = Router(
    prefix=f"{DASHBOARD}{OF_PROJECT}/rates",
    include_in_schema=False,
    dependencies=[admin_scope("limits")],
    route_class=ProjectRoute,
)
RATES = {
    "max_requests_per_1_minute": "Requests a minute",
    "max_bytes_per_1_minute": "Bytes a minute",
    "max_jobs_per_1_day": "Jobs in 24 hours",
    "max_open_jobs": "Open jobs",
}
QUOTAS = tuple(ProjectQuotas.model_fields)


@of_projects.get("")
def retrieve_quotas(view: AdminViewDep, project_id: str) -> Response:
    """Show the project's name, its share and its quotas."""
    found = ProjectPublic.of(projects.get_project(view.session, project_id))
    own = {name: "" if value is None else value for name, value in found.quotas}
    most = found.max_active_jobs if found.max_active_jobs is not None else ""
    form = Form.of(
        name=found.name,
        weight=found.weight,
        max_active_jobs=most,
        deploy_on_success=found.deploy_on_success,
        default_provider=found.default_provider or "",
        **own,
    )
    return _quotas_page(view, project_id, form)


@of_projects.post("")
def update_project(view: AdminViewDep, project_id: str, form: FormDep) -> Response:
    """Change them; an empty field restores the default of the settings."""
    with shown_again(form, lambda form: _quotas_page(view, project_id, form)):
        # Before the whole: the errors of a quota belong to its own field.
        quotas = ProjectQuotas.model_validate({name: form.whole(name) for name in QUOTAS})
        most = form.whole("max_active_jobs")
        typed: dict[str, Any] = {"name": form.text("name"), "weight": form.text("weight"), "quotas": quotas}
        typed["deploy_on_success"] = form.has("deploy_on_success")
        if "default_provider" in form.values:
            typed["default_provider"] = form.text("default_provider")
        new = ProjectUpdate.model_validate({**typed, "max_active_jobs": 0 if most is None else most})
        projects.update_project(view.session, project_id, **new.model_dump(exclude_unset=True))
    return redirect(f"/projects/{project_id}/quotas")


@router.get("")
def list_project_rate_limits(view: AdminViewDep, project_id: str) -> Response:
    """Show the rates in force, of the project and of its keys."""
    projects.get_project(view.session, project_id)
    return _rates_page(view, project_id, Form())


@router.post("/{rate_limit_id}")
def update_project_rate_limit(view: AdminViewDep, project_id: str, rate_limit_id: str, form: FormDep) -> Response:
    """Change the rates of the project or of a key; an empty field restores the default of the settings."""
    with shown_again(form, lambda form: _rates_page(view, project_id, form)):
        new = RateLimitUpdate.model_validate({name: form.whole(name) for name in RATES if name in form.values})
        rate_limits.update_rate_limit(view.session, project_id, rate_limit_id, new)
    return redirect(f"/projects/{project_id}/rates")


def _quotas_page(view: AdminView, project_id: str, form: Form) -> Response:
    call = admin_calls(view, "POST", f"/projects/{project_id}", {"weight": 2, "quotas": {"files": 1000}})
    used = quotas_of(view.session, project_id)
    names = {each.provider for each in credentials.usable_by(view.session, project_id)} | {
        form.text("default_provider")
    }
    offered = [("", "The newest account that has the model"), *((name, name) for name in sorted(names - {""}))]
    return project_page(view, project_id, "project/quotas.html", call, form=form, used=used, providers=offered)


def _rates_page(view: AdminView, project_id: str, form: Form) -> Response:
    rows = rate_limits.list_rate_limits(view.session, project_id)
    body = {"max_requests_per_1_minute": 600}
    call = admin_calls(view, "POST", f"/projects/{project_id}/rate_limits/rl-{project_id}", body)
    shown = [RateLimitPublic.of(row) for row in rows]
    own = next((each for each in rows if each.api_key_id is None), None)
    known = {name: getattr(own, name, None) for name in RATES}
    filled = Form.of(**{name: "" if value is None else value for name, value in known.items()})
    form = Form({**filled.values, **form.values}, form.errors)
    return project_page(view, project_id, "project/rates.html", call, form=form, rates=shown, names=RATES)
