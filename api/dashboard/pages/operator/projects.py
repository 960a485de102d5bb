"""For operators: all projects with what they spend, making one, and archiving one."""

from decimal import Decimal

from starlette.responses import Response

from api.auth.deps import AdminDep, After
from api.auth.scopes import admin_scope
from api.dashboard.forms import Form, FormDep, shown_again
from api.dashboard.pages.project.shown import admin_calls
from api.dashboard.sent_once import made_by_typed
from api.dashboard.view import AdminView, AdminViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.budgets import costs
from shared.budgets.costs import CostFilter, GroupBy
from shared.db.pages import Page
from shared.db.times import utc_now
from shared.deployments.ends import archive_project as end_project
from shared.jobs.spending import usage
from shared.overview import queues
from shared.projects import service as projects
from shared.projects.callers import AdminCaller
from shared.projects.schemas import ProjectCreate, ProjectPublic

router = Router(
    prefix=f"{DASHBOARD}/operator/projects", include_in_schema=False, dependencies=[admin_scope("projects")]
)
PER_PAGE = 50
DAYS = 31
BY_PROJECT: tuple[GroupBy, ...] = ("project_id",)


@router.get("")
def list_all_projects(
    view: AdminViewDep, admin: AdminDep, after: After = None, include_archived: bool = False
) -> Response:
    """List the projects, with their spend of this month and their open jobs."""
    return _page(view, admin, Form(), after, include_archived)


@router.post("")
def create_project(view: AdminViewDep, admin: AdminDep, form: FormDep) -> Response:
    """Make a project, and go to its keys."""
    with shown_again(form, lambda form: _page(view, admin, form, None, False)):
        name = ProjectCreate(name=form.text("name")).name
        made = made_by_typed(view, admin.key_id, form, lambda: projects.create_project(view.session, name).id)
    return redirect(f"/projects/{made}/keys")


@router.post("/{project_id}/archive")
def archive_project(view: AdminViewDep, project_id: str) -> Response:
    """Archive a project for good."""
    end_project(view.session, project_id)
    return redirect("/operator/projects?include_archived=true")


def _page(view: AdminView, admin: AdminCaller, form: Form, after: str | None, include_archived: bool) -> Response:
    rows = projects.list_projects(view.session, after=after, limit=PER_PAGE, include_archived=include_archived)
    shown = Page.of([ProjectPublic.of(row) for row in rows], PER_PAGE)
    ids = [each.id for each in shown.data]
    may_see_costs, may_see_jobs = admin.may("admin:costs:read"), admin.may("admin:activity:read")
    open_jobs = queues.list_queues(view.session, ids) if may_see_jobs else []
    return view.page(
        "operator/projects.html",
        status=400 if form.errors else 200,
        projects=shown,
        form=form,
        spend=_spend(view, ids) if may_see_costs else {},
        may_see_costs=may_see_costs,
        may_see_jobs=may_see_jobs,
        jobs={each: queues.total([one for one in open_jobs if one.project_id == each]) for each in ids},
        snippets=admin_calls(view, "GET", "/projects"),
    )


def _spend(view: AdminView, project_ids: list[str]) -> dict[str, list[tuple[str, Decimal]]]:
    """Return, by project, the sums of this month (UTC) by currency."""
    start = usage.start_of_month(utc_now())
    found = costs.page(view.session, CostFilter(BY_PROJECT, project_ids), start, None, DAYS)
    sums: dict[str, dict[str, Decimal]] = {}
    for bucket in found.data:
        for each in bucket.results:
            of = sums.setdefault(each.project_id or "", {})
            of[each.amount.currency] = of.get(each.amount.currency, Decimal()) + Decimal(each.amount.exact_value)
    return {project_id: sorted(of.items()) for project_id, of in sums.items()}
