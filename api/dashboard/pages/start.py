"""The page that opens first: what runs, waits and has failed, what was spent, and the first lines for a newcomer."""

from fastapi import APIRouter
from starlette.responses import Response

from api.auth.scopes import scope
from api.dashboard.snippets import calls
from api.dashboard.view import ViewDep
from api.http.pages import DASHBOARD
from shared.db.owned import list_owned
from shared.jobs.models import Job
from shared.jobs.schemas import JobPublic
from shared.overview import own_project

router = APIRouter(prefix=DASHBOARD, include_in_schema=False, dependencies=[scope("jobs")])
NEWEST = 8


@router.get("")
def start(view: ViewDep) -> Response:
    """Show what is going on in the project."""
    rows = list_owned(view.session, Job, view.caller.project_id, after=None, limit=NEWEST)
    snippets = calls(view.request, "GET", "/project", "print(client.get('/project', cast_to=dict))")
    return view.page(
        "start.html",
        overview=own_project.show(view.session, view.caller),
        jobs=[JobPublic.of(row) for row in rows[:NEWEST]],
        snippets=snippets,
    )
