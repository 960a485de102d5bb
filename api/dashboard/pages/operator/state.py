"""For operators: what is wrong now, in one look; the queue; and the accounts at providers."""

from collections.abc import Sequence

from sqlmodel import Session, col, select
from starlette.responses import Response

from api.auth.scopes import admin_scope
from api.dashboard.pages.project.shown import admin_calls
from api.dashboard.view import AdminViewDep
from api.http.pages import DASHBOARD
from api.http.router import Router
from api.routes.health import readyz_checks
from api.routes.organization.activity import EndpointState, endpoint_is_in
from shared.db.times import utc_now
from shared.jobs.schemas import JobPublic
from shared.overview import accounts, due, failures, queues
from shared.overview.all_projects import WebhookEndpointOfProject, list_all
from shared.overview.failures import FailureFilter
from shared.projects.models import Project
from shared.webhooks.models import WebhookEndpoint

router = Router(prefix=f"{DASHBOARD}/operator", include_in_schema=False, dependencies=[admin_scope("activity")])
of_accounts = Router(
    prefix=f"{DASHBOARD}/operator/accounts", include_in_schema=False, dependencies=[admin_scope("credentials")]
)
NEWEST = 20
NEXT = 50
MAX_ACCOUNTS = 200


@router.get("")
def show_state(view: AdminViewDep) -> Response:
    """Show whether everything runs, what is stuck, what fails."""
    session = view.session
    failing = list_all(session, WebhookEndpoint, endpoint_is_in(EndpointState.FAILING), after=None, limit=NEWEST)
    wanted = FailureFilter(kinds=None, project_ids=None, created=lambda _: [])
    failed = failures.list_failures(session, wanted, after=None, limit=NEWEST)[:NEWEST]
    stuck, tables = due.stuck_rows(session), due.due_rows(session)
    oldest = min((each.oldest_due_at for each in tables if each.oldest_due_at), default=None)
    ids = [each.project_id for each in stuck if each.project_id]
    ids += [each.project_id for each in failing] + [each.project_id for each in failed]
    return view.page(
        "operator/state.html",
        checks=readyz_checks(),
        scheduler=due.scheduler(session),
        tables=tables,
        oldest=oldest,
        stuck=stuck,
        failing=[WebhookEndpointOfProject.of(row) for row in failing[:NEWEST]],
        failures=failed,
        names=_names(session, ids),
        snippets=admin_calls(view, "GET", "/due"),
    )


@router.get("/queue")
def show_queue(view: AdminViewDep) -> Response:
    """Show the queues of all projects, and which jobs are next."""
    rows = queues.next_jobs(view.session, NEXT)
    found = queues.list_queues(view.session)
    ids = [each.project_id for each in rows] + [each.project_id for each in found]
    weights = dict(view.session.exec(select(Project.id, Project.weight).where(col(Project.id).in_(ids))).all())
    return view.page(
        "operator/queue.html",
        queues=found,
        total=queues.total(found),
        jobs=[JobPublic.of(row) for row in rows],
        names=_names(view.session, ids),
        weights=weights,
        snippets=admin_calls(view, "GET", "/queues"),
    )


@of_accounts.get("")
def show_accounts(view: AdminViewDep) -> Response:
    """Show the accounts at providers, with what providers say against them."""
    found = accounts.list_accounts(view.session, after=None, limit=MAX_ACCOUNTS)[:MAX_ACCOUNTS]
    return view.page(
        "operator/accounts.html",
        accounts=found,
        now=utc_now(),
        names=_names(view.session, [each.project_id for each in found]),
        snippets=admin_calls(view, "GET", "/accounts"),
    )


def _names(session: Session, project_ids: Sequence[str]) -> dict[str, str]:
    """Return the projects' names by their ids."""
    return dict(session.exec(select(Project.id, Project.name).where(col(Project.id).in_(project_ids))).all())
