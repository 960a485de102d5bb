"""The jobs of a project that wait for an operator's approval."""

from starlette.responses import Response

from api.auth.deps import After
from api.auth.scopes import admin_scope
from api.dashboard.forms import Form, FormDep, shown_again
from api.dashboard.pages.project.shown import OF_PROJECT, ProjectRoute, admin_calls, project_page
from api.dashboard.view import AdminView, AdminViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from api.routes.organization.budgets import Rejection
from shared.db.pages import Page
from shared.jobs import approval as approvals
from shared.jobs.models import Approval
from shared.jobs.schemas import JobPublic
from shared.projects import service as projects

router = Router(
    prefix=f"{DASHBOARD}{OF_PROJECT}/approvals",
    include_in_schema=False,
    dependencies=[admin_scope("limits")],
    route_class=ProjectRoute,
)
PER_PAGE = 20


@router.get("")
def list_project_jobs(view: AdminViewDep, project_id: str, after: After = None) -> Response:
    """List the jobs that wait."""
    return _page(view, project_id, Form(), after)


@router.post("/{job_id}/approve")
def approve_job(view: AdminViewDep, project_id: str, job_id: str) -> Response:
    """Let a job start."""
    approvals.approve(view.session, project_id, job_id)
    return redirect(f"/projects/{project_id}/approvals")


@router.post("/{job_id}/reject")
def reject_job(view: AdminViewDep, project_id: str, job_id: str, form: FormDep) -> Response:
    """Cancel a job that waits, with the reason that the project sees."""
    with shown_again(form, lambda form: _page(view, project_id, form, None)):
        why = Rejection(reason=form.text("reason") or None)
        approvals.reject(view.session, project_id, job_id, why.reason)
    return redirect(f"/projects/{project_id}/approvals")


def _page(view: AdminView, project_id: str, form: Form, after: str | None) -> Response:
    projects.get_project(view.session, project_id)
    rows = approvals.list_jobs(view.session, project_id, Approval.AWAITED, after=after, limit=PER_PAGE)
    shown = Page.of([JobPublic.of(row) for row in rows], PER_PAGE)
    call = admin_calls(view, "GET", f"/projects/{project_id}/jobs?approval=awaited")
    return project_page(view, project_id, "project/approvals.html", call, form=form, jobs=shown)
